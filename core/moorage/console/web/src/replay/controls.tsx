// The player's controls: buttons, the bar with its markers, and the same by keyboard.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { clock, spoken } from "../recordings/recordings";
import type { Cast, Marker } from "./cast";
import { IDLE, type Player, SPEEDS } from "./player";

const STEP = 5;
/** So shortly after a marker, "previous" means the one before it. */
const JUST_PASSED = 1.5;
/** Markers that are drawn on the bar and listed. */
const SHOWN = 200;

interface ControlsProps {
  player: Player;
  cast: Cast;
  /** Seconds that the whole recording is long, as far as that is known. */
  length: number;
  live: boolean;
  /** How much of it has come. */
  loading: string | null;
}

export function Controls({ player, cast, length, live, loading }: ControlsProps): JSX.Element {
  const [, setTick] = useState(0);
  const time = player.time;
  const draw = () => setTick((tick) => tick + 1);

  // The clock runs on without anything that would draw it.
  useEffect(() => {
    if (!player.playing) return undefined;
    const timer = setInterval(draw, 100);
    return () => clearInterval(timer);
  }, [player, player.playing]);

  const seek = (to: number) => {
    player.seek(to);
    draw();
  };
  const toggle = () => {
    if (player.playing) player.pause();
    else player.play();
  };
  const faster = (by: number) => {
    const at = SPEEDS.findIndex((speed) => speed === player.speed);
    player.speed = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, at + by))] ?? 1;
  };
  const before = lastBefore(cast.markers, player.playing ? time - JUST_PASSED : time - 0.01);
  const next = cast.markers.find((marker) => marker.time > time + 0.01);
  const now = () => {
    player.seek(cast.duration);
    player.play();
  };

  usePlayerKeys({
    " ": toggle,
    ArrowLeft: () => seek(time - STEP),
    ArrowRight: () => seek(time + STEP),
    "[": () => faster(-1),
    "]": () => faster(1),
    Home: () => seek(0),
    End: () => seek(cast.duration),
    p: () => before && seek(before.time),
    n: () => next && seek(next.time),
  });
  return (
    <div class="player" role="group" aria-label="Player">
      <button type="button" class="play" aria-label={player.playing ? "Pause" : "Play"} aria-keyshortcuts="Space" onClick={toggle}>
        <Icon path={player.playing ? "M4 2h3v12H4zM9 2h3v12H9z" : "M4 2l9 6-9 6z"} />
      </button>
      <div class="seek">
        <input
          type="range"
          min={0}
          max={Math.max(length, 0.001)}
          step="any"
          value={time}
          aria-label="Place in the recording"
          aria-valuetext={`${spoken(time)} of ${spoken(length)}`}
          onInput={(event) => seek(Number(event.currentTarget.value))}
        />
        <div class="marks" aria-hidden="true">
          {length > 0 &&
            cast.markers.slice(0, SHOWN).map((marker) => (
              <i key={`${marker.time} ${marker.label}`} title={marker.label} style={{ left: `${(100 * marker.time) / length}%` }} />
            ))}
        </div>
      </div>
      <output class="time" aria-live="off">
        {clock(time)} / {clock(length)}
      </output>
      <label class="speed">
        <span>Speed</span>
        <select
          aria-keyshortcuts="[ ]"
          value={String(player.speed)}
          onChange={(event) => {
            player.speed = Number(event.currentTarget.value);
          }}
        >
          {SPEEDS.map((speed) => (
            <option key={speed} value={String(speed)}>
              {speed}×
            </option>
          ))}
        </select>
      </label>
      <label class="tick" title={`Where nothing happens for longer than ${IDLE} seconds, go on after ${IDLE}`}>
        <input
          type="checkbox"
          checked={player.skipIdle}
          onChange={(event) => {
            player.skipIdle = event.currentTarget.checked;
          }}
        />
        Skip idle time
      </label>
      {live && (
        <button type="button" onClick={now}>
          Jump to now
        </button>
      )}
      {loading !== null && <span class="hint">Fetching: {loading}</span>}
      {cast.markers.length > 0 && <Markers markers={cast.markers} before={before} next={next} seek={seek} />}
      <p class="hint keys">
        <kbd>Space</kbd> plays and pauses, <kbd>←</kbd> <kbd>→</kbd> go {STEP} seconds, <kbd>[</kbd> <kbd>]</kbd> change the speed,{" "}
        <kbd>Home</kbd> <kbd>End</kbd>{cast.markers.length > 0 && (
          <>
            , <kbd>p</kbd> <kbd>n</kbd> markers
          </>
        )}
      </p>
    </div>
  );
}

interface MarkersProps {
  markers: Marker[];
  before: Marker | undefined;
  next: Marker | undefined;
  seek: (time: number) => void;
}

function Markers({ markers, before, next, seek }: MarkersProps): JSX.Element {
  return (
    <>
      <span class="steps">
        <button type="button" class="quiet" disabled={!before} aria-keyshortcuts="p" onClick={() => before && seek(before.time)}>
          Previous marker
        </button>
        <button type="button" class="quiet" disabled={!next} aria-keyshortcuts="n" onClick={() => next && seek(next.time)}>
          Next marker
        </button>
      </span>
      <details>
        <summary>{markers.length === 1 ? "1 marker" : `${markers.length} markers`}</summary>
        <ol>
          {markers.slice(0, SHOWN).map((marker) => (
            <li key={`${marker.time} ${marker.label}`}>
              <button type="button" class="link" onClick={() => seek(marker.time)}>
                {clock(marker.time)} {marker.label || "(no name)"}
              </button>
            </li>
          ))}
        </ol>
      </details>
    </>
  );
}

/** What keys do, anywhere on the page but in fields. */
function usePlayerKeys(keys: Record<string, () => void>): void {
  const known = useRef(keys);
  known.current = keys;
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isField(event.target)) return;
      // Buttons and links take the space bar for themselves.
      if (event.key === " " && event.target instanceof Element && event.target.closest("button, a, summary, select")) return;
      if (!Object.hasOwn(known.current, event.key)) return;
      event.preventDefault();
      known.current[event.key]?.();
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, []);
}

function lastBefore(markers: Marker[], time: number): Marker | undefined {
  const next = markers.findIndex((marker) => marker.time >= time);
  return next < 0 ? markers.at(-1) : markers[next - 1];
}

const isField = (target: EventTarget | null): boolean =>
  target instanceof HTMLSelectElement ||
  (target instanceof HTMLInputElement && target.type !== "range" && target.type !== "checkbox") ||
  (target instanceof HTMLTextAreaElement && !target.closest(".picture"));

function Icon({ path }: { path: string }): JSX.Element {
  return (
    <svg viewBox="0 0 16 16" width="18" height="18" aria-hidden="true">
      <path fill="currentColor" d={path} />
    </svg>
  );
}
