// The files of a message.

import type { Attachment, TimelineMessage } from "@tidings/client";
import { useSelected, useTidings } from "@tidings/client/react";
import { Download, FileAudio, FileText, Mic, X } from "lucide-react";

import { lazyView } from "../lazy.js";
import { attempt } from "../toasts.js";
import { words } from "../words/language.js";
import { formatDuration, formatSize, isVisual } from "./describe.js";
import { Picture } from "./picture.js";
import { ratioOf } from "./thumb.js";

const VoicePlayer = lazyView(() => import("./voice-player.js"), VoiceSubstitute);

/** Largest width and height of a single picture, in pixels. */
const MAX_WIDTH = 340;
const MAX_HEIGHT = 400;
/** Narrowest and widest shape of a single picture; others are cropped. */
const MIN_RATIO = 0.5;
const MAX_RATIO = 2.4;

interface Props {
  message: TimelineMessage;
  /** Opens a picture, by its position among the message's files. */
  onOpen: (message: TimelineMessage, at: number) => void;
}

/** All files of a message: pictures and videos in a grid, then the others in a list. */
export function Gallery({ message, onOpen }: Props) {
  const client = useTidings();
  const progress = useSelected((state) => state.uploads.get(message.key));
  const isUnkept = useSelected((state) => state.outbox.some(({ id, is_kept }) => id === message.key && is_kept === false));
  const all = message.attachments.map((attachment, at) => ({ attachment, at }));
  const visual = all.filter(({ attachment }) => isVisual(attachment));
  const others = all.filter(({ attachment }) => !isVisual(attachment));
  const isPending = message.status === "pending";
  return (
    <>
      {visual.length > 0 && (
        <div className={`pictures of-${Math.min(visual.length, 4)}`}>
          {visual.map(({ attachment, at }) => (
            <Tile
              key={at}
              attachment={attachment}
              isAlone={visual.length === 1}
              onOpen={() => onOpen(message, at)}
              onBroken={() => {
                // The link may have expired. If the new one is the same, the picture stays broken.
                if (message.status === "sent") client.renewLinks(message.conversation_id, message.id).catch(() => {});
              }}
            >
              {isPending && <Uploading message={message} part={progress?.[at]} name={attachment.file_name} />}
            </Tile>
          ))}
        </div>
      )}
      {others.map(({ attachment, at }) => (
        <div key={at} className="file-row">
          <FileView attachment={attachment} isPending={isPending} />
          {isPending && <Uploading message={message} part={progress?.[at]} name={attachment.file_name} />}
        </div>
      ))}
      {isUnkept && <p className="unkept small-text">{words.files.keepOpen}</p>}
    </>
  );
}

function Tile(props: {
  attachment: Attachment;
  isAlone: boolean;
  onOpen: () => void;
  onBroken: () => void;
  children: React.ReactNode;
}) {
  const { attachment, isAlone } = props;
  const ratio = Math.min(MAX_RATIO, Math.max(MIN_RATIO, ratioOf(attachment)));
  // Small pictures are not enlarged, except to a size that can be hit.
  const own = Math.max(120, Math.min(attachment.width ?? MAX_WIDTH, MAX_WIDTH));
  const width = Math.round(Math.min(own, MAX_HEIGHT * ratio));
  const style = isAlone ? { inlineSize: `${width}px`, aspectRatio: String(ratio) } : {};
  if (attachment.kind === "video" && isAlone && attachment.url !== "") {
    return (
      <div className="tile" style={style}>
        <video
          controls
          playsInline
          preload={attachment.preview_url ? "none" : "metadata"}
          poster={attachment.preview_url ?? undefined}
          src={attachment.url}
          aria-label={attachment.alt ?? words.files.video(attachment.file_name)}
        />
        {props.children}
      </div>
    );
  }
  const isVideo = attachment.kind === "video";
  const name = attachment.alt ?? attachment.file_name;
  return (
    <div className="tile" style={style}>
      <button className="open-picture" aria-label={isVideo ? words.files.openVideo(name) : words.files.openPicture(name)} onClick={props.onOpen}>
        <Picture attachment={withoutVideo(attachment)} onBroken={props.onBroken} />
        {isVideo && <span className="duration">▶ {attachment.duration_ms !== null && formatDuration(attachment.duration_ms)}</span>}
      </button>
      {props.children}
    </div>
  );
}

/** A picture of a video is its preview; the video itself is no picture. */
export const withoutVideo = (attachment: Attachment): Attachment =>
  attachment.kind === "video" && !attachment.preview_url ? { ...attachment, url: "" } : attachment;

/** How much of a file is uploaded, and a button that cancels its message. */
function Uploading({ message, part, name }: { message: TimelineMessage; part: number | undefined; name: string }) {
  const client = useTidings();
  const percent = Math.round((part ?? 0) * 100);
  return (
    <span className="uploading">
      <span
        className="ring"
        role="progressbar"
        aria-label={words.files.upload(name)}
        aria-valuenow={percent}
        style={{ "--part": `${percent}%` } as React.CSSProperties}
      />
      <button className="icon-button small" aria-label={words.files.cancelSending} onClick={() => void attempt(client.delete(message.id))}>
        <X aria-hidden />
      </button>
    </span>
  );
}

function FileView({ attachment, isPending }: { attachment: Attachment; isPending: boolean }) {
  if (attachment.kind === "voice" && attachment.url !== "") return <VoicePlayer attachment={attachment} />;
  return (
    <>
      <FileLink attachment={attachment} isPending={isPending} />
      {attachment.kind === "audio" && attachment.url !== "" && (
        <audio controls preload="none" src={attachment.url} aria-label={attachment.file_name} />
      )}
    </>
  );
}

/** A file with its name and size. Once it is sent, it can be downloaded. */
export function FileLink({ attachment, isPending = false }: { attachment: Attachment; isPending?: boolean }) {
  const Icon = attachment.kind === "audio" ? FileAudio : FileText;
  const content = (
    <>
      <Icon aria-hidden />
      <span className="file-text">
        <bdi className="file-name">{attachment.file_name}</bdi>
        <span className="small-text">{formatSize(attachment.size)}</span>
      </span>
    </>
  );
  if (isPending || attachment.url === "") return <span className="file">{content}</span>;
  return (
    <a className="file" href={attachment.url} download={attachment.file_name} target="_blank" rel="noopener noreferrer">
      {content}
      <Download aria-label={words.common.download} />
    </a>
  );
}

/** Takes the place of the player until it is loaded. */
function VoiceSubstitute({ attachment }: { attachment: Attachment }) {
  return (
    <span className="voice">
      <Mic aria-hidden />
      <span className="small-text">{words.kinds.voice} {attachment.duration_ms !== null && formatDuration(attachment.duration_ms)}</span>
    </span>
  );
}
