// Runs the server binary as a child process.

import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const built = fileURLToPath(new URL("../../../target/debug/tidings", import.meta.url));

/** Path of the binary. If it is missing, tests that need it are skipped, unless TIDINGS_BINARY is set. */
export const binary = process.env["TIDINGS_BINARY"] ?? built;
export const hasBinary = process.env["TIDINGS_BINARY"] !== undefined || existsSync(binary);
if (!hasBinary) console.log(`skipped: ${binary} does not exist; build it (cargo build) or set TIDINGS_BINARY`);

/** A running server. */
export class Server {
  readonly folder = mkdtempSync(join(tmpdir(), "tidings-client-"));
  url = "";
  #process: ChildProcess | undefined;

  /** Starts the server and waits until it is ready. A restart uses the same port. */
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
      child.on("exit", (code) => reject(new Error(`The server exited with code ${code}.`)));
      createInterface({ input: child.stdout }).on("line", (line) => {
        if (line.startsWith("ready ")) resolve(line.slice("ready ".length));
      });
    });
    this.url = url;
  }

  /** Returns a valid token for a user. */
  token(user: string): string {
    return execFileSync(binary, ["token", user, "--data-dir", this.folder], { encoding: "utf8" }).trim();
  }

  /** Kills the server without a shutdown, as a power cut would. */
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
