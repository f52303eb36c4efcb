// Records a voice message.

import { Pause, Play, SendHorizontal, Trash2 } from "lucide-react";
import { useEffect, useRef, useState } from "react";

import { toast } from "../toasts.js";
import { partWords, words } from "../words/language.js";
import { formatDuration } from "./describe.js";
import "./recorder.css";

/** Formats in order of preference: iOS cannot play WebM, and Safari's WebM is broken. */
const FORMATS = ["audio/mp4;codecs=mp4a.40.2", "audio/mp4", "audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/webm"];
/** Milliseconds after which a recording ends. */
const MAX_DURATION = 15 * 60_000;
/** Recordings shorter than this are taken for a mistake (milliseconds). */
const MIN_DURATION = 500;
const LEVEL_INTERVAL = 80;
/** Number of levels that are shown. */
const SHOWN_LEVELS = 200;

interface Recording {
  recorder: MediaRecorder;
  /** Returns how loud it is now, from 0 to 1. */
  level: () => number;
  stop: () => Promise<File | null>;
  end: () => void;
}

export default function VoiceRecorder(props: {
  /** `isSent` is false if the user has left without saying what to do with the recording. */
  onDone: (voice: File, durationMs: number, isSent: boolean) => void;
  onClose: () => void;
}) {
  const [recording, setRecording] = useState<Recording | null>(null);
  const [isPaused, setIsPaused] = useState(false);
  const [elapsed, setElapsed] = useState(0);
  const [levels, setLevels] = useState<readonly number[]>([]);
  const time = useRef(0);
  const isEnded = useRef(false);
  const discardButton = useRef<HTMLButtonElement>(null);

  useEffect(() => {
    let isMounted = true;
    let started: Recording | null = null;
    start().then(
      (recording) => {
        started = recording;
        if (isMounted) setRecording(recording);
        else recording.end();
      },
      (error: unknown) => {
        if (!isMounted) return;
        toast(describeRefusal(error));
        props.onClose();
      },
    );
    discardButton.current?.focus();
    return () => {
      isMounted = false;
      if (started && !isEnded.current) void finish(started, false);
    };
  }, []);

  const finish = async (recording: Recording, isSent: boolean) => {
    isEnded.current = true;
    const voice = await recording.stop();
    recording.end();
    if (voice && time.current >= MIN_DURATION) props.onDone(voice, time.current, isSent);
  };

  useEffect(() => {
    if (!recording || isPaused) return;
    let last = performance.now();
    const timer = setInterval(() => {
      const now = performance.now();
      time.current += now - last;
      last = now;
      setElapsed(time.current);
      setLevels((levels) => [...levels.slice(1 - SHOWN_LEVELS), recording.level()]);
      if (time.current >= MAX_DURATION) pause(true);
    }, LEVEL_INTERVAL);
    return () => clearInterval(timer);
  }, [recording, isPaused]);

  const pause = (isPaused: boolean) => {
    if (!recording || (!isPaused && time.current >= MAX_DURATION)) return;
    if (isPaused) recording.recorder.pause();
    else recording.recorder.resume();
    setIsPaused(isPaused);
  };
  const discard = () => {
    isEnded.current = true;
    recording?.end();
    props.onClose();
  };
  const send = async () => {
    if (!recording) return;
    await finish(recording, true);
    props.onClose();
  };

  return (
    <div className="recorder" role="group" aria-label={words.kinds.voice} onKeyDown={(event) => event.key === "Escape" && discard()}>
      <button ref={discardButton} className="icon-button danger" aria-label={partWords.voice.discard} onClick={discard}>
        <Trash2 aria-hidden />
      </button>
      <span className={`recording-time ${isPaused ? "paused" : ""}`} role="timer">
        {formatDuration(elapsed)}
      </span>
      <span className="levels" role="meter" aria-label={partWords.voice.level} aria-valuemin={0} aria-valuemax={1} aria-valuenow={levels.at(-1) ?? 0}>
        {levels.map((level, at) => (
          <i key={at} style={{ blockSize: `${Math.round(8 + level * 92)}%` }} />
        ))}
      </span>
      <button className="icon-button" aria-label={isPaused ? partWords.voice.goOn : partWords.voice.pauseRecording} disabled={!recording} onClick={() => pause(!isPaused)}>
        {isPaused ? <Play aria-hidden /> : <Pause aria-hidden />}
      </button>
      <button className="send" aria-label={partWords.voice.send} disabled={!recording} onClick={() => void send()}>
        <SendHorizontal aria-hidden className="mirrored" />
      </button>
    </div>
  );
}

async function start(): Promise<Recording> {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true } });
  const mimeType = FORMATS.find((format) => MediaRecorder.isTypeSupported(format));
  const recorder = new MediaRecorder(stream, { ...(mimeType ? { mimeType } : {}), audioBitsPerSecond: 32_000 });
  const parts: Blob[] = [];
  recorder.ondataavailable = ({ data }) => void parts.push(data);
  recorder.start();
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 1_024;
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const end = () => {
    for (const track of stream.getTracks()) track.stop();
    if (context.state !== "closed") void context.close();
  };
  return {
    recorder,
    level: () => {
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
      return Math.min(1, Math.sqrt(power) * 4);
    },
    stop: async () => {
      if (recorder.state !== "inactive") {
        const stopped = new Promise((resolve) => (recorder.onstop = resolve));
        recorder.stop();
        await stopped;
      }
      const type = (recorder.mimeType || mimeType || "audio/webm").split(";")[0] ?? "";
      const extension = type === "audio/mp4" ? "m4a" : type === "audio/ogg" ? "ogg" : "webm";
      const voice = new File(parts, `voice-message.${extension}`, { type });
      return voice.size > 0 ? voice : null;
    },
    end,
  };
}

function describeRefusal(error: unknown): string {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError") return partWords.voice.refused;
  if (name === "NotFoundError") return partWords.voice.noMicrophone;
  return partWords.voice.unusable;
}
