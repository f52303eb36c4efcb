// A link that somebody has attached to a message instead of a file.

import { Link2 } from "lucide-react";
import { useState } from "react";

import { isImage, webUrl } from "../urls.js";
import { words } from "../words/language.js";

export function LinkAttachment({ url, type }: { url: string; type: string | null }) {
  const [isBroken, setIsBroken] = useState(false);
  const href = webUrl(url);
  if (!href) return <p className="text unavailable">{words.files.cannotShow}</p>;
  const { hostname, pathname } = new URL(href);
  const name = pathname.split("/").at(-1) || hostname;
  return (
    <a className="attachment" href={href} target="_blank" rel="noopener noreferrer">
      {isImage(href, type) && !isBroken ? (
        <img src={href} alt={words.files.picture(name)} referrerPolicy="no-referrer" loading="lazy" onError={() => setIsBroken(true)} />
      ) : (
        <span className="file">
          <Link2 aria-hidden />
          <span className="file-text">
            <bdi className="file-name">{name}</bdi>
            <span className="small-text">{hostname}</span>
          </span>
        </span>
      )}
    </a>
  );
}
