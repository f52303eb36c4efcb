// The tray above the message field: the files that will be sent, and how.

import type { Prepared } from "@tidings/client";
import { useTidings } from "@tidings/client/react";
import { FileText, Mic, X } from "lucide-react";
import { useEffect, useState } from "react";

import { partWords, words } from "../words/language.js";
import { formatDuration, formatSize } from "./describe.js";
import { setTray } from "./tray-state.js";
import type { TrayFile } from "./tray-state.js";
import "./tray.css";

/** Maximum length of a description. */
const MAX_ALT = 500;

export default function Tray({ conversation, files }: { conversation: string; files: readonly TrayFile[]; onClose: () => void }) {
  const isAsFile = files.some(({ asFile }) => asFile);
  const hasPictures = files.some(({ file }) => file.type.startsWith("image/"));
  const change = (id: string, part: Partial<TrayFile>) =>
    setTray(conversation, files.map((file) => (file.id === id ? { ...file, ...part } : file)));
  return (
    <div className="tray" role="group" aria-label={partWords.files.toSend}>
      <ul>
        {files.map((file) => (
          <Item
            key={`${file.id} ${file.asFile}`}
            item={file}
            onAlt={(alt) => change(file.id, { alt })}
            onRemove={() => setTray(conversation, files.filter(({ id }) => id !== file.id))}
          />
        ))}
      </ul>
      {hasPictures && (
        <label className="inline small-text">
          <input
            type="checkbox"
            checked={isAsFile}
            onChange={({ target }) => setTray(conversation, files.map((file) => ({ ...file, asFile: target.checked })))}
          />
          <span>
            {partWords.files.sendAsFile} <span className="muted">{partWords.files.sendAsFileWhy}</span>
          </span>
        </label>
      )}
    </div>
  );
}

function Item(props: { item: TrayFile; onAlt: (alt: string) => void; onRemove: () => void }) {
  const { file, alt, durationMs } = props.item;
  const prepared = usePrepared(props.item);
  const preview = useObjectUrl(prepared ? (prepared.preview ?? (prepared.kind === "image" ? prepared.file : null)) : null);
  const isPicture = prepared?.kind === "image";
  const [isDescribing, setIsDescribing] = useState(alt !== "");
  const size = prepared?.file.size ?? file.size;
  const note = prepared === undefined ? partWords.files.preparing : prepared?.kind === "video" ? partWords.files.asItIs : "";
  return (
    <li>
      <span className="tray-preview">
        {preview ? <img src={preview} alt="" /> : durationMs === null ? <FileText aria-hidden /> : <Mic aria-hidden />}
      </span>
      <span className="tray-text">
        <bdi className="file-name">{durationMs === null ? file.name : words.kinds.voice}</bdi>
        <span className="muted small-text">
          {durationMs !== null && `${formatDuration(durationMs)} · `}
          {formatSize(size)}
          {note && ` · ${note}`}
        </span>
        {isPicture && isDescribing && (
          <input
            aria-label={partWords.files.descriptionOf(file.name)}
            placeholder={partWords.files.forBlind}
            autoFocus={alt === ""}
            maxLength={MAX_ALT}
            dir="auto"
            value={alt}
            onChange={({ target }) => props.onAlt(target.value)}
          />
        )}
        {isPicture && !isDescribing && (
          <button className="link small-text" aria-label={partWords.files.describeNamed(file.name)} onClick={() => setIsDescribing(true)}>
            {partWords.files.describe}
          </button>
        )}
      </span>
      <button className="icon-button small" aria-label={partWords.common.removeNamed(file.name)} onClick={props.onRemove}>
        <X aria-hidden />
      </button>
    </li>
  );
}

/** Prepares a file in the way in which it will be sent. Undefined until then; null if that fails for now. */
function usePrepared({ file, asFile, durationMs }: TrayFile): Prepared | null | undefined {
  const client = useTidings();
  const [prepared, setPrepared] = useState<Prepared | null>();
  useEffect(() => {
    let isMounted = true;
    const source = { file, as_file: asFile, is_voice: durationMs !== null };
    client.prepare(source).then(
      (done) => isMounted && setPrepared(done),
      () => isMounted && setPrepared(null),
    );
    return () => {
      isMounted = false;
    };
  }, [client, file, asFile, durationMs]);
  return prepared;
}

/** Returns an address for a blob, for as long as the view is mounted. */
function useObjectUrl(blob: Blob | null): string | null {
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    if (!blob) return;
    const url = URL.createObjectURL(blob);
    setUrl(url);
    return () => URL.revokeObjectURL(url);
  }, [blob]);
  return url;
}
