"""What `submit-prediction` does, as one would write it with FastAPI, to be measured beside it.

It asks Firestore six questions over gRPC, one after the other, as the Rust service does the first time, and Cloud
Storage, over gRPC too, whether an earlier run of the user has the answer, unless they are new. Where the Rust service has
rules of its own, this one does the cheapest thing that is still a check: a SMILES is matched against a grammar of its
tokens and its parentheses and ring digits are counted, where the other one checks valences and aromaticity too. Neither
publishes anything: what happens next follows from the document. Configuration is the same as that of the functions.
"""

import asyncio
import hashlib
import json
import os
import re
import secrets
from collections import Counter
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any, Literal

import jwt
import orjson
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import Response
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import Aborted, AlreadyExists, FailedPrecondition
from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import AsyncClient, FieldFilter
from google.cloud.storage.asyncio.async_grpc_client import AsyncGrpcClient
from pydantic import BaseModel, ConfigDict, Field, field_validator

PROJECT, DATABASE = os.environ["DOCS_URL"].removeprefix("firestore://").split("/")
ARTIFACTS = f"projects/_/buckets/{os.environ['BLOBS_URL'].removeprefix('gs://')}artifacts"
OBJECTS = ClientOptions(api_endpoint=os.environ["STORAGE_EMULATOR_HOST"].removeprefix("http://"))
ISSUER, AUDIENCE = os.environ["TOKEN_ISSUER"], os.environ["TOKEN_AUDIENCE"]
KEYS = {key["kid"]: jwt.PyJWK(key).key for key in json.loads(os.environ["TOKEN_KEYS"])["keys"]}
ATTEMPTS = 20
RACES = (Aborted, AlreadyExists, FailedPrecondition)
# Runs a user may have in an hour, unfinished runs, GPU seconds in a month: all that anybody could use here.
LIMITS = {"jobs_per_hour": 2**32 - 1, "concurrent_jobs": 2**32 - 1, "gpu_seconds": 2.0**32}
VERSION = "2.2.1"
LOAD_SECONDS, ITEM_SECONDS, USD_PER_SECOND = 90.0, 30.0, 0.0002
RESIDUES = re.compile("[ACDEFGHIKLMNPQRSTVWY]{10,2000}")
TOKEN = r"(?:\[[^\[\]]{1,60}\]|Br|Cl|[BCNOPSFI]|[bcnops]|[-=#:/\\.]|[()]|%\d\d|\d)"
SMILES = re.compile(f"{TOKEN}+")
RING = re.compile(r"\[[^\]]*\]|%\d\d|\d")
HEAVY = re.compile(r"\[[^\[\]]+\]|Br|Cl|[BCNOPSFIbcnops]")


class Predict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    model: Literal["boltz2"]
    protein_sequence: str
    ligand_smiles: Annotated[str, Field(max_length=4096)]
    ligand_name: str | None = None
    job_name: Annotated[str | None, Field(max_length=200)] = None
    inputs: dict[str, Any] | None = None
    parameters: dict[str, Any] | None = None
    max_cost_usd: Annotated[float | None, Field(gt=0)] = None

    @field_validator("protein_sequence")
    @classmethod
    def residues(cls, text: str) -> str:
        if not RESIDUES.fullmatch(text := text.strip().upper()):
            raise ValueError("takes 10 to 2,000 of the twenty standard letters")
        return text

    @field_validator("ligand_smiles")
    @classmethod
    def molecule(cls, text: str) -> str:
        text = text.strip()
        rings = Counter(token for token in RING.findall(text) if token[0] != "[")
        open_parentheses = text.count("(") != text.count(")")
        if not SMILES.fullmatch(text) or open_parentheses or any(count % 2 for count in rings.values()):
            raise ValueError("is no SMILES")
        return text


@asynccontextmanager
async def lifespan(app: FastAPI):
    app.state.docs = AsyncClient(project=PROJECT, database=DATABASE)
    app.state.objects = AsyncGrpcClient(AnonymousCredentials(), client_options=OBJECTS).grpc_client
    yield


app = FastAPI(lifespan=lifespan)


async def caller(request: Request, authorization: Annotated[str, Header()]):
    token = authorization.removeprefix("Bearer ")
    try:
        key = KEYS[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(token, key, ["RS256"], audience=AUDIENCE, issuer=ISSUER, leeway=60)
    except (KeyError, jwt.InvalidTokenError) as error:
        raise HTTPException(401, "the token is not valid") from error
    # What an operator decided about the user stands in their account, and what their runs have used.
    return await request.app.state.docs.document(f"users/{claims['sub']}").get()


@app.get("/healthz")
async def healthz() -> str:
    return "ok"


@app.post("/api/v1/predict", status_code=202)
async def predict(
    request: Request,
    body: Predict,
    account: Annotated[Any, Depends(caller)],
    idempotency_key: Annotated[str | None, Header()] = None,
) -> Response:
    docs, uid, now = request.app.state.docs, account.id, datetime.now(timezone.utc)
    digest = hashlib.sha256(await request.body()).hexdigest()
    unique = short(uid, idempotency_key, digest, str(now.date())) if idempotency_key else secrets.token_hex(12)
    job = docs.document(f"users/{uid}/jobs/job_{unique}")
    note = docs.document(f"idempotency/{short(uid, idempotency_key)}") if idempotency_key else None
    if note and (first := await repeated(docs, note, uid, digest)):
        return answer(first)
    room = await Room.of(docs, account, now)
    known = await answered(request.app.state.objects, uid, body) if account.exists else []
    profile = await docs.document("profiles/boltz2.l4").get()
    run = make(uid, job.id, body, profile.to_dict(), known, now)
    if body.max_cost_usd is not None and run["cost"]["estimated_usd"] > body.max_cost_usd:
        raise HTTPException(422, "the run is estimated to cost more")
    room.take(run, now)
    for _ in range(ATTEMPTS):
        batch = docs.batch()
        batch.create(job, run)
        room.write(batch)
        if note:
            kept = {"run": job.id}
            batch.create(note, {"uid": uid, "digest": digest, "kept": kept, "expire_at": now + timedelta(days=1)})
        try:
            await batch.commit()
            return answer(run)
        except RACES:
            if note and (first := await repeated(docs, note, uid, digest)):
                return answer(first)
            room = await Room.of(docs, await account.reference.get(), now)
            room.take(run, now)
    raise HTTPException(409, "too many submissions at the same time")


async def repeated(docs, note, uid: str, digest: str) -> dict | None:
    """The run that the first request with this key made."""
    known = (await note.get()).to_dict()
    if not known:
        return None
    if known["digest"] != digest:
        raise HTTPException(422, "this Idempotency-Key was used with another request")
    first = await docs.document(f"users/{uid}/jobs/{known['kept']['run']}").get()
    if not first.exists:
        raise HTTPException(409, "what this Idempotency-Key made was purged")
    return first.to_dict()


async def answered(objects, uid: str, body: Predict) -> list[str]:
    """The markers of the user's runs that were asked the same question about a ligand."""
    asked = orjson.dumps([body.model, VERSION, inputs(body), parameters(body)], option=orjson.OPT_SORT_KEYS)
    prefix = f"{uid}/cache/{hashlib.sha256(asked).hexdigest()}/"
    found = await objects.list_objects(request={"parent": ARTIFACTS, "prefix": prefix, "page_size": 1000})
    return [marker.name async for marker in found]


class Room:
    """What the user's runs may use, and do."""

    def __init__(self, account, unfinished: int, charged: float):
        self.account, self.unfinished, self.charged = account, unfinished, charged
        self.jobs = (account.to_dict() or {}).get("jobs", {"since": None, "used": 0})

    @classmethod
    async def of(cls, docs, account, now: datetime) -> "Room":
        jobs = docs.collection(f"users/{account.id}/jobs")
        individual = jobs.where(filter=FieldFilter("job_type", "==", "individual"))

        unfinished = individual.where(filter=FieldFilter("status", "in", ["queued", "running", "aggregating"]))
        month = jobs.where(filter=FieldFilter("month", "==", f"{now:%Y-%m}"))
        found = await asyncio.gather(unfinished.count().get(), month.sum("charged_gpu_seconds").get())
        return cls(account, *(numbers[0][0].value for numbers in found))

    def take(self, run: dict, now: datetime) -> None:
        hour = now.replace(minute=0, second=0, microsecond=0)
        used = self.jobs["used"] if self.jobs["since"] == hour else 0
        seconds = self.charged + run["charged_gpu_seconds"]
        over = used >= LIMITS["jobs_per_hour"] or self.unfinished >= LIMITS["concurrent_jobs"]
        if over or seconds > LIMITS["gpu_seconds"]:
            raise HTTPException(429, "the tier allows no more")
        self.jobs = {"since": hour, "used": used + 1}

    def write(self, batch) -> None:
        """The account as it then is, if nobody else has changed it."""
        if self.account.exists:
            option = AsyncClient.write_option(last_update_time=self.account.update_time)
            batch.update(self.account.reference, {"jobs": self.jobs}, option)
        else:
            batch.create(self.account.reference, {"jobs": self.jobs})


def make(uid: str, job_id: str, body: Predict, learned: dict | None, known: list[str], now: datetime) -> dict:
    seconds = LOAD_SECONDS + (learned or {}).get("item_seconds", ITEM_SECONDS)
    progress = {"total": 1, "completed": 0, "failed": 0, "running": 0, "percent": 0.0, "milestone": 0}
    plan = {"shards": 1, "items": 1, "gpu_seconds": seconds, "seconds": seconds, "ready": False, "groups": []}
    return {
        "job_id": job_id, "uid": uid, "job_type": "individual", "status": "queued", "name": body.job_name,
        "model": body.model, "model_version": VERSION, "created_at": now, "started_at": None, "completed_at": None,
        "source": "api", "input": inputs(body),
        "ligand_smiles": body.ligand_smiles, "item": item(body), "input_files": [], "parameters": parameters(body),
        "target_residues": len(body.protein_sequence), "items": 1, "rejected": 0, "lane": "interactive", "weight": 1,
        "priority": "normal", "strategy": "parallel", "max_concurrent": None, "max_cost_usd": body.max_cost_usd,
        "ranking": {"score": "affinity_prob", "direction": "descending"}, "plan": plan, "dispatchable": False,
        "progress": progress, "progress_at": now, "month": f"{now:%Y-%m}", "charged_gpu_seconds": seconds,
        "cost": {"estimated_usd": seconds * USD_PER_SECOND, "actual_usd": 0.0, "gpu_seconds": 0.0},
        "answered_by": known, "summary": None, "simulated": None, "error": None, "nudges": 0,
    }


def inputs(body: Predict) -> dict:
    return {"protein_sequence": body.protein_sequence, "msa": None}


def parameters(body: Predict) -> dict:
    defaults = {"affinity": True, "sampling_steps": 200, "diffusion_samples": 1, "recycling_steps": 3, "seed": 1}
    return defaults | (body.parameters or {})


def item(body: Predict) -> dict:
    return {"index": 1, "row": 1, "name": body.ligand_name or "ligand", "smiles": body.ligand_smiles,
            "heavy_atoms": len(HEAVY.findall(body.ligand_smiles))}


def answer(run: dict) -> Response:
    names = ("job_id", "job_type", "status", "model", "model_version", "created_at", "started_at", "completed_at",
             "progress", "error", "input", "parameters", "cost", "simulated")
    view = {name: run[name] for name in names} | {"job_name": run["name"], "results": None, "download_links": None}
    location = {"Location": f"/api/v1/jobs/{run['job_id']}"}
    content = orjson.dumps(view | {"queue": {"lane": run["lane"]}}, default=str)
    return Response(content, status_code=202, headers=location, media_type="application/json")


def short(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
