// Finds, starts and stops the Firestore emulator of the Google Cloud SDK.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer, connect } from "node:net";
import { join } from "node:path";

const HOST = "127.0.0.1";
const START_LIMIT_MS = 60_000;

/** The emulator's archive, or why there is none on this machine. */
export function find() {
  try {
    const sdk = execFileSync("gcloud", ["info", "--format=value(installation.sdk_root)"], { encoding: "utf8" }).trim();
    const jar = join(sdk, "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar");
    execFileSync("java", ["-version"], { stdio: "ignore" });
    return existsSync(jar) ? { jar } : { missing: "the Google Cloud SDK has no Firestore emulator" };
  } catch (error) {
    return { missing: `the Google Cloud SDK or Java is not installed (${error.code ?? error.message})` };
  }
}

/** Starts it on a free port of this machine alone; resolves to the address and how to stop it. */
export async function start(jar) {
  const port = await freePort();
  const options = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m", "-Duser.language=en", "-cp", jar];
  const main = "com.google.cloud.datastore.emulator.firestore.CloudFirestore";
  const child = spawn("java", [...options, main, "--host", HOST, "--port", String(port)], { stdio: "ignore" });
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    }
  };
  try {
    await listening(port, child);
  } catch (error) {
    await stop();
    throw error;
  }
  return { host: HOST, port, stop };
}

async function freePort() {
  const server = createServer().listen(0, HOST);
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

async function listening(port, child) {
  const deadline = Date.now() + START_LIMIT_MS;
  while (Date.now() < deadline && child.exitCode === null) {
    const socket = connect(port, HOST);
    const open = await new Promise((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    socket.destroy();
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("the Firestore emulator did not start");
}
