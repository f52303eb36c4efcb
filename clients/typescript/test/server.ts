// The real server, as a process of its own.

import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const built = fileURLToPath(new URL("../../../target/debug/tidings", import.meta.url));

/** The binary. Where it is named it has to be there; else it may be missing, and the tests that need it are skipped. */
export const binary = process.env["TIDINGS_BINARY"] ?? built;
export const isThere = process.env["TIDINGS_BINARY"] !== undefined || existsSync(binary);
if (!isThere) console.log(`skipped: there is no ${binary}; build it (cargo build), or name one in TIDINGS_BINARY`);

/** A running server. */
export class Server {
  readonly folder = mkdtempSync(join(tmpdir(), "tidings-client-"));
  url = "";
  #process: ChildProcess | undefined;

  /** Starts it, and waits until it serves. The same port again after a stop. */
  async start(...flags: string[]): Promise<void> {
    const port = this.url === "" ? "0" : new URL(this.url).port;
    const { TIDINGS_JWT_SECRET: _, AWS_ENDPOINT_URL_DYNAMODB: __, ...env } = process.env;
    const child = spawn(binary, ["--port", port, "--data-dir", this.folder, ...flags], {
      env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#process = child;
    const url = await new Promise<string>((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (code) => reject(new Error(`The server ended with ${code}.`)));
      createInterface({ input: child.stdout }).on("line", (line) => {
        if (line.startsWith("ready ")) resolve(line.slice("ready ".length));
      });
    });
    this.url = url;
  }

  /** A token that it takes. */
  token(user: string): string {
    return execFileSync(binary, ["token", user, "--data-dir", this.folder], { encoding: "utf8" }).trim();
  }

  /** Kills it, as a power cut does. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.on("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
