// What a browser may do with Firestore: read its user's own documents, and nothing else.

import { after, before, beforeEach, describe, it } from "node:test";
import { readFileSync } from "node:fs";
import { assertFails, assertSucceeds, initializeTestEnvironment } from "@firebase/rules-unit-testing";
import {
  collection, collectionGroup, deleteDoc, doc, getDoc, getDocs, onSnapshot, query, setDoc, setLogLevel, updateDoc, where, writeBatch,
} from "firebase/firestore";
import { find, start } from "./emulator.js";

const { jar, missing } = find();

// Every place documents lie in; USER stands for a user's id.
const OF_A_USER = ["users/USER", "users/USER/jobs/j1", "users/USER/jobs/j1/shards/00000", "users/USER/notices/n1", "users/USER/deliveries/msg_1"];
const OF_NOBODY = ["pools/l4", "idempotency/h1", "api_keys/k1", "webhooks/alice"];

describe("the rules of Firestore", { skip: missing }, () => {
  let emulator, environment, alice, nobody;

  const paths = (user) => OF_A_USER.map((path) => path.replace("USER", user));

  before(async () => {
    setLogLevel("silent");
    emulator = await start(jar);
    const rules = readFileSync(new URL("../firestore.rules", import.meta.url), "utf8");
    const firestore = { rules, host: emulator.host, port: emulator.port };
    environment = await initializeTestEnvironment({ projectId: "demo-rules", firestore });
    alice = environment.authenticatedContext("alice", { tier: "admin" }).firestore();
    nobody = environment.unauthenticatedContext().firestore();
  });

  beforeEach(async () => {
    await environment.clearFirestore();
    await environment.withSecurityRulesDisabled(async (context) => {
      const all = writeBatch(context.firestore());
      for (const path of [...paths("alice"), ...paths("bob"), ...OF_NOBODY]) {
        all.set(doc(context.firestore(), path), { status: "queued", uid: path.split("/")[1] });
      }
      await all.commit();
    });
  });

  after(async () => {
    await environment?.cleanup();
    await emulator?.stop();
  });

  it("a user reads their own documents", async () => {
    for (const path of paths("alice")) await assertSucceeds(getDoc(doc(alice, path)));
  });

  it("a user lists their own jobs and shards", async () => {
    await assertSucceeds(getDocs(query(collection(alice, "users/alice/jobs"), where("status", "==", "queued"))));
    await assertSucceeds(getDocs(collection(alice, "users/alice/jobs/j1/shards")));
  });

  it("a user listens to their own job", async () => {
    const heard = new Promise((resolve, reject) => {
      const stop = onSnapshot(doc(alice, "users/alice/jobs/j1"), (job) => (stop(), resolve(job)), reject);
    });
    await assertSucceeds(heard);
  });

  it("another user's documents cannot be read, whatever the token claims", async () => {
    for (const path of paths("bob")) await assertFails(getDoc(doc(alice, path)));
    await assertFails(getDocs(collection(alice, "users/bob/jobs")));
  });

  it("all users' documents cannot be listed, not even the caller's own among them", async () => {
    await assertFails(getDocs(collection(alice, "users")));
    await assertFails(getDocs(collectionGroup(alice, "jobs")));
    await assertFails(getDocs(query(collectionGroup(alice, "jobs"), where("uid", "==", "alice"))));
  });

  it("documents of no user cannot be read", async () => {
    for (const path of OF_NOBODY) await assertFails(getDoc(doc(alice, path)));
    await assertFails(getDocs(collection(alice, "api_keys")));
  });

  it("nobody without a token reads anything", async () => {
    for (const path of [...paths("alice"), ...OF_NOBODY]) await assertFails(getDoc(doc(nobody, path)));
  });

  it("nothing can be created, changed or deleted", async () => {
    for (const path of [...paths("alice"), ...paths("bob"), ...OF_NOBODY]) {
      for (const who of [alice, nobody]) {
        await assertFails(setDoc(doc(who, `${path}-new`), { status: "completed" }));
        await assertFails(setDoc(doc(who, path), { status: "completed" }));
        await assertFails(updateDoc(doc(who, path), { status: "completed" }));
        await assertFails(deleteDoc(doc(who, path)));
      }
    }
  });
});
