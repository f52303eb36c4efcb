// A stand-in for a browser's push service: takes what the server sends, and decrypts it as the browser would.

import { createDecipheriv, createECDH, hkdfSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { IncomingHttpHeaders, Server } from "node:http";
import type { AddressInfo } from "node:net";

import type { Page } from "@playwright/test";

/** A push that has come. */
export interface Received {
  /** The decrypted body. */
  text: string;
  headers: IncomingHttpHeaders;
}

/** The push service of one browser, with one subscription. */
export class PushService {
  readonly received: Received[] = [];
  /** The status of its answers: 201, or 410 for a subscription that has ended. */
  status = 201;
  readonly #keys = createECDH("prime256v1");
  readonly #auth = randomBytes(16);
  #server: Server | undefined;
  #url = "";

  async start(): Promise<this> {
    this.#keys.generateKeys();
    const server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        if (this.status === 201) this.received.push({ text: this.#decrypt(Buffer.concat(parts)), headers: request.headers });
        response.writeHead(this.status).end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    this.#server = server;
    this.#url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/push`;
    return this;
  }

  stop(): void {
    this.#server?.close();
  }

  /** Decrypts a body in one record (RFC 8188 and 8291). */
  #decrypt(body: Buffer): string {
    const salt = body.subarray(0, 16);
    const sender = body.subarray(21, 21 + body.readUInt8(20));
    const record = body.subarray(21 + sender.length);
    const shared = this.#keys.computeSecret(sender);
    const info = Buffer.concat([Buffer.from("WebPush: info\0"), this.#keys.getPublicKey(), sender]);
    const secret = Buffer.from(hkdfSync("sha256", shared, this.#auth, info, 32));
    const derive = (name: string, length: number) =>
      Buffer.from(hkdfSync("sha256", secret, salt, `Content-Encoding: ${name}\0`, length));
    const cipher = createDecipheriv("aes-128-gcm", derive("aes128gcm", 16), derive("nonce", 12));
    cipher.setAuthTag(record.subarray(-16));
    const padded = Buffer.concat([cipher.update(record.subarray(0, -16)), cipher.final()]);
    return padded.subarray(0, padded.lastIndexOf(2)).toString("utf8");
  }

  /** Lets a page subscribe to this service, because the browser's own cannot be reached from tests. */
  async replaceBrowsers(page: Page): Promise<void> {
    const keys = { p256dh: this.#keys.getPublicKey("base64url"), auth: this.#auth.toString("base64url") };
    await page.addInitScript(replacePushManager, { endpoint: this.#url, keys });
  }
}

/** Runs in the page. The subscription survives a reload, as a browser's does. */
function replacePushManager({ endpoint, keys }: { endpoint: string; keys: Record<string, string> }): void {
  const name = "test subscription";
  const read = () => {
    const key = localStorage.getItem(name);
    if (key === null) return null;
    const bytes = Uint8Array.from(atob(key.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
    return {
      endpoint,
      options: { userVisibleOnly: true, applicationServerKey: bytes.buffer },
      toJSON: () => ({ endpoint, expirationTime: null, keys }),
      unsubscribe: async () => {
        localStorage.removeItem(name);
        return true;
      },
    };
  };
  Object.assign(PushManager.prototype, {
    getSubscription: async () => read(),
    subscribe: async ({ applicationServerKey }: { applicationServerKey: string }) => {
      localStorage.setItem(name, applicationServerKey);
      return read();
    },
  });
}
