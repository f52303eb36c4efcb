// Plays a voice message: waveform, position, and speed.

import type { Attachment } from "@tidings/client";
import { Pause, Play } from "lucide-react";
import { useEffect, useRef, useState } from "react";

import { observable, useObservable } from "../observable.js";
import { toast } from "../toasts.js";
import { number } from "../words/formats.js";
import { partWords } from "../words/language.js";
import { formatDuration } from "./describe.js";
import "./voice-player.css";

const SPEEDS = [1, 1.5, 2] as const;
const BARS = 40;
/** Larger files are not loaded just to draw them (bytes). */
const MAX_DRAWN_BYTES = 3_000_000;

/** How fast voice messages are played, until the page is closed. */
const speed = observable<number>(1);
/** The message that is being played: only one at a time. */
let playing: HTMLAudioElement | null = null;

/** Waveforms by attachment, and the files they were computed from. */
const waveforms = new Map<string, Promise<{ bars: number[]; url: string }>>();

export default function VoicePlayer({ attachment }: { attachment: Attachment }) {
  const { url, duration_ms } = attachment;
  const audio = useRef<HTMLAudioElement>(null);
  const [isPlaying, setIsPlaying] = useState(false);
  const [position, setPosition] = useState(0);
  const [length, setLength] = useState((duration_ms ?? 0) / 1_000);
  const rate = useObservable(speed);
  const { bars, source } = useWaveform(attachment);

  useEffect(() => {
    if (audio.current) audio.current.playbackRate = rate;
  }, [rate, isPlaying]);
  useEffect(() => () => {
    if (playing === audio.current) playing = null;
  }, []);

  const toggle = () => {
    const element = audio.current;
    if (!element) return;
    if (!element.paused) return element.pause();
    if (playing !== element) playing?.pause();
    playing = element;
    element.playbackRate = rate;
    element.play().catch((error: unknown) => {
      if (!(error instanceof DOMException && error.name === "AbortError")) toast(partWords.voice.notPlayed);
    });
  };
  const seek = (to: number) => {
    setPosition(to);
    if (audio.current) audio.current.currentTime = to;
  };
  const nextSpeed = SPEEDS[(SPEEDS.findIndex((each) => each === rate) + 1) % SPEEDS.length] ?? 1;
  const played = length > 0 ? position / length : 0;

  return (
    <span className="voice">
      <audio
        ref={audio}
        preload="none"
        src={source ?? url}
        onPlay={() => setIsPlaying(true)}
        onPause={() => setIsPlaying(false)}
        onEnded={() => seek(0)}
        onTimeUpdate={({ currentTarget }) => setPosition(currentTarget.currentTime)}
        onDurationChange={({ currentTarget }) => Number.isFinite(currentTarget.duration) && setLength(currentTarget.duration)}
      />
      <button className="icon-button play" aria-label={isPlaying ? partWords.voice.pause : partWords.voice.play} onClick={toggle}>
        {isPlaying ? <Pause aria-hidden /> : <Play aria-hidden />}
      </button>
      <span className="wave">
        <span className="bars" aria-hidden>
          {bars.map((bar, at) => (
            <i key={at} className={at / BARS < played ? "played" : ""} style={{ blockSize: `${Math.round(12 + bar * 88)}%` }} />
          ))}
        </span>
        <input
          type="range"
          aria-label={partWords.voice.position}
          aria-valuetext={partWords.voice.positionOf(formatDuration(position * 1_000), formatDuration(length * 1_000))}
          min={0}
          max={length || 1}
          step={0.1}
          value={Math.min(position, length || 1)}
          onChange={({ target }) => seek(Number(target.value))}
        />
      </span>
      <span className="voice-time small-text">{formatDuration((isPlaying || position > 0 ? position : length) * 1_000)}</span>
      <button className="speed small-text" aria-label={partWords.voice.speed(rate)} onClick={() => speed.set(nextSpeed)}>
        {number(rate)}×
      </button>
    </span>
  );
}

const FLAT = Array.from({ length: BARS }, () => 0.15);

/** Returns the waveform of a voice message, flat until it is known, and an address in this page to play it from. */
function useWaveform({ id, url, size }: Attachment): { bars: readonly number[]; source: string | null } {
  const [drawn, setDrawn] = useState<{ bars: number[]; url: string } | null>(null);
  useEffect(() => {
    // One that is being sent is drawn as soon as it has an address.
    if (size > MAX_DRAWN_BYTES || url.startsWith("blob:")) return;
    let isMounted = true;
    const known = waveforms.get(id) ?? load(url);
    waveforms.set(id, known);
    known.then(
      (drawn) => isMounted && setDrawn(drawn),
      () => waveforms.delete(id),
    );
    return () => {
      isMounted = false;
    };
  }, [id, url, size]);
  return { bars: drawn?.bars ?? FLAT, source: drawn?.url ?? null };
}

async function load(url: string): Promise<{ bars: number[]; url: string }> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`status ${response.status}`);
  const file = await response.blob();
  const sound = await new OfflineAudioContext(1, 1, 16_000).decodeAudioData(await file.arrayBuffer());
  const samples = sound.getChannelData(0);
  const width = Math.max(1, Math.floor(samples.length / BARS));
  const peaks = Array.from({ length: BARS }, (_, at) => {
    let peak = 0;
    for (let n = at * width; n < (at + 1) * width; n += 8) peak = Math.max(peak, Math.abs(samples[n] ?? 0));
    return peak;
  });
  const highest = Math.max(...peaks, 0.05);
  return { bars: peaks.map((peak) => peak / highest), url: URL.createObjectURL(file) };
}
