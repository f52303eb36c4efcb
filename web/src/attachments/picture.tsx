// A picture, in a place that is reserved for it before it is loaded.

import type { Attachment } from "@tidings/client";
import { ImageOff } from "lucide-react";
import { useEffect, useState } from "react";

import { placeholder } from "./thumb.js";

/** Returns the address of what the timeline shows: GIFs move, everything else has a preview. */
export function previewOf({ content_type, preview_url, url }: Attachment): string {
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  return (content_type === "image/gif" && !isCalm ? url : preview_url) ?? url;
}

/**
 * Returns an address to show. When a picture that was shown from this browser has been sent, its old address is kept
 * until the new one has been loaded, so that it does not flicker.
 */
function useSteadySource(url: string): string {
  const [shown, setShown] = useState(url);
  useEffect(() => {
    if (url === shown) return;
    if (!shown.startsWith("blob:") || url === "") {
      setShown(url);
      return;
    }
    let isCurrent = true;
    const image = new Image();
    image.src = url;
    const show = () => isCurrent && setShown(url);
    image.decode().then(show, show);
    return () => {
      isCurrent = false;
    };
  }, [url, shown]);
  return shown;
}

/** The picture itself. Fills its parent. `onBroken` is called if it cannot be loaded. */
export function Picture({ attachment, onBroken }: { attachment: Attachment; onBroken?: () => void }) {
  const url = useSteadySource(previewOf(attachment));
  const [broken, setBroken] = useState<string | null>(null);
  const background = placeholder(attachment.thumbhash);
  return (
    <span className="picture" style={background ? { backgroundImage: `url(${background})` } : {}}>
      {broken !== null && broken === url ? (
        <ImageOff aria-hidden />
      ) : (
        url !== "" && (
          <img
            src={url}
            alt={attachment.alt ?? ""}
            loading="lazy"
            decoding="async"
            draggable={false}
            referrerPolicy="no-referrer"
            onError={() => {
              setBroken(url);
              onBroken?.();
            }}
          />
        )
      )}
    </span>
  );
}
