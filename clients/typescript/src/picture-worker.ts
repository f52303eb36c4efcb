// The worker that renders pictures.

import type { RenderRequest, RenderResponse } from "./picture-worker-client.js";
import { renderPicture } from "./pictures.js";

addEventListener("message", ({ data: { id, blob, options } }: MessageEvent<RenderRequest>) => {
  const respond = (rendered: RenderResponse["rendered"]) => postMessage({ id, rendered } satisfies RenderResponse);
  renderPicture(blob, options).then(respond, () => respond(undefined));
});
