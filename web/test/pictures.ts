// Pictures to send, made in the browser.

import type { Page } from "@playwright/test";

/** A file as Playwright chooses it. */
export interface TestFile {
  name: string;
  mimeType: string;
  buffer: Buffer;
}

/** Draws a JPEG of a size: a gradient with a white square in its upper left corner. */
export async function jpeg(page: Page, name: string, width: number, height: number): Promise<TestFile> {
  const base64 = await page.evaluate(
    async ([width, height]) => {
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      const context = canvas.getContext("2d") as CanvasRenderingContext2D;
      const gradient = context.createLinearGradient(0, 0, width, height);
      gradient.addColorStop(0, "orange");
      gradient.addColorStop(1, "teal");
      context.fillStyle = gradient;
      context.fillRect(0, 0, width, height);
      context.fillStyle = "white";
      context.fillRect(0, 0, width / 4, height / 4);
      return canvas.toDataURL("image/jpeg", 0.9).split(",")[1] ?? "";
    },
    [width, height] as const,
  );
  return { name, mimeType: "image/jpeg", buffer: Buffer.from(base64, "base64") };
}

/** Records a video of a second: a red square that grows. */
export async function video(page: Page, name: string): Promise<TestFile> {
  const bytes = await page.evaluate(async () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 180 });
    const context = canvas.getContext("2d") as CanvasRenderingContext2D;
    const recorder = new MediaRecorder(canvas.captureStream(20), { mimeType: "video/webm" });
    const parts: Blob[] = [];
    recorder.ondataavailable = ({ data }) => void parts.push(data);
    recorder.start();
    for (let frame = 1; frame <= 20; frame += 1) {
      context.fillStyle = "red";
      context.fillRect(0, 0, frame * 16, frame * 9);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await new Promise((resolve) => {
      recorder.onstop = resolve;
      recorder.stop();
    });
    return [...new Uint8Array(await new Blob(parts).arrayBuffer())];
  });
  return { name, mimeType: "video/webm", buffer: Buffer.from(bytes) };
}

/** Adds metadata to a JPEG, as a phone does: it was held upright (orientation 6), and somewhere (GPS). */
export function withMetadata(file: TestFile): TestFile {
  const entry = (tag: number, type: number, count: number, value: number) => {
    const bytes = Buffer.alloc(12);
    bytes.writeUInt16BE(tag, 0);
    bytes.writeUInt16BE(type, 2);
    bytes.writeUInt32BE(count, 4);
    if (type === 3) bytes.writeUInt16BE(value, 8);
    else bytes.writeUInt32BE(value, 8);
    return bytes;
  };
  const directory = (...entries: Buffer[]) => Buffer.concat([Buffer.from([0, entries.length]), ...entries, Buffer.alloc(4)]);
  // Orientation, and the position of the GPS directory, which says that the latitude is in the north ("N").
  const first = directory(entry(0x0112, 3, 1, 6), entry(0x8825, 4, 1, 38));
  const gps = directory(entry(0x0001, 2, 2, 0x4e000000));
  const tiff = Buffer.concat([Buffer.from("MM\0*\0\0\0\b", "latin1"), first, gps]);
  const exif = Buffer.concat([Buffer.from("Exif\0\0", "latin1"), tiff]);
  const segment = Buffer.concat([Buffer.from([0xff, 0xe1, 0, exif.length + 2]), exif]);
  return { ...file, buffer: Buffer.concat([file.buffer.subarray(0, 2), segment, file.buffer.subarray(2)]) };
}

/** Drops files onto an element, or pastes them into it. */
export async function transfer(page: Page, selector: string, kind: "drop" | "paste", files: readonly TestFile[]): Promise<void> {
  const contents = files.map(({ name, mimeType, buffer }) => ({ name, type: mimeType, base64: buffer.toString("base64") }));
  await page.locator(selector).evaluate(
    (element, { kind, contents }) => {
      const data = new DataTransfer();
      for (const { name, type, base64 } of contents) {
        data.items.add(new File([Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))], name, { type }));
      }
      const options = { bubbles: true, cancelable: true };
      if (kind === "paste") {
        element.dispatchEvent(new ClipboardEvent("paste", { ...options, clipboardData: data }));
        return;
      }
      for (const type of ["dragenter", "dragover", "drop"]) {
        element.dispatchEvent(new DragEvent(type, { ...options, dataTransfer: data }));
      }
    },
    { kind, contents },
  );
}
