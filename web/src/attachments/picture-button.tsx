// Lets users choose the picture of a person or group.

import { useRef, useState } from "react";
import type { ReactNode } from "react";

import { lazyPart } from "../lazy.js";
import { attempt } from "../toasts.js";
import { partWords } from "../words/language.js";

const CropDialog = lazyPart(() => import("./crop.js"));

export function PictureButton(props: {
  children?: ReactNode;
  hasPicture: boolean;
  onChange: (picture: Blob) => Promise<unknown>;
  onRemove: () => Promise<unknown>;
}) {
  const input = useRef<HTMLInputElement>(null);
  const [file, setFile] = useState<File | null>(null);
  return (
    <div className="picture-choice">
      {props.children}
      <span className="actions">
        <button type="button" className="secondary" onClick={() => input.current?.click()}>
          {props.hasPicture ? partWords.details.changePicture : partWords.details.addPicture}
        </button>
        {props.hasPicture && (
          <button type="button" className="link" onClick={() => void attempt(props.onRemove())}>
            {partWords.details.removePicture}
          </button>
        )}
      </span>
      <input
        ref={input}
        type="file"
        hidden
        accept="image/*"
        aria-label={partWords.details.picture}
        onChange={({ target }) => {
          setFile(target.files?.[0] ?? null);
          target.value = "";
        }}
      />
      {file && <CropDialog file={file} onDone={props.onChange} onClose={() => setFile(null)} />}
    </div>
  );
}
