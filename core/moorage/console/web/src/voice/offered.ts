// What the server offers of voice, and what this browser's user has chosen of it.
import { useEffect, useState } from "preact/hooks";
import * as api from "../api";
import { socketUrl } from "../api";
import { MAY } from "./place";
import { Watched } from "./watched";

/** What there is of voice here, for this user. */
export interface Voice {
  mount: string;
  /** The address of the socket that hears; null: it cannot be had. */
  hears: string | null;
  /** The address of the socket that speaks. */
  speaks: string | null;
  /** After so many milliseconds of silence somebody has finished. */
  silence: number;
  /** The voice and the speed where nothing is chosen; null: the server's. */
  voice: string | null;
  speed: number | null;
  /** Whether the language is told from the text, for whoever has chosen no voice. */
  detects: boolean;
}

interface Features {
  voice?: {
    stt_url?: string | null;
    tts_url?: string | null;
    vad_timeout_ms?: number;
    default_voice?: string | null;
    default_speed?: number | null;
    auto_language_detect?: boolean;
  };
}

const SILENCE = 1500;
let asked: { key: string; answer: Promise<Voice | null>; found: Voice | null } | null = null;

/** What of voice is served where this page comes from; null while it is not known, and where there is none. */
export function useVoice(state: api.State & { user: api.User }): Voice | null {
  const mount = api.mountOf(state, "voice");
  const may = (permission: string) => state.user.permissions.includes(permission);
  const hears = may(MAY.hear);
  const speaks = may(MAY.speak);
  const key = [mount, hears, speaks].join();
  const [voice, setVoice] = useState<Voice | null>(() => (asked?.key === key ? asked.found : null));
  useEffect(() => {
    if (mount === null || !(hears || speaks)) return setVoice(null);
    let gone = false;
    // Asked once; a fault is forgotten, so that the next page asks again.
    if (asked?.key !== key) asked = { key, answer: ask(mount, hears, speaks), found: null };
    const mine = asked;
    mine.answer.then(
      (found) => {
        mine.found = found;
        if (!gone) setVoice(found);
      },
      () => {
        if (asked === mine) asked = null;
      },
    );
    return () => {
      gone = true;
    };
  }, [mount, hears, speaks]);
  return voice;
}

async function ask(mount: string, hears: boolean, speaks: boolean): Promise<Voice | null> {
  const { voice } = await api.get<Features>(`${mount}/api/features`);
  if (!voice) return null;
  // Where it is was told by the mount; what it tells is whether there is any.
  const at = (may: boolean, url: unknown, path: string) => (may && typeof url === "string" ? socketUrl(mount + path) : null);
  return {
    mount,
    hears: at(hears, voice.stt_url, "/api/voice/stt"),
    speaks: at(speaks, voice.tts_url, "/api/voice/tts"),
    silence: voice.vad_timeout_ms ?? SILENCE,
    voice: voice.default_voice ?? null,
    speed: voice.default_speed ?? null,
    detects: voice.auto_language_detect ?? false,
  };
}

interface Choice {
  /** Answers are read aloud as they come. */
  aloud: boolean;
  /** What is said is sent after a silence, and after the answer one is listened to again. */
  handsFree: boolean;
  /** Null: the server's. */
  voice: string | null;
  speed: number | null;
}

const PLACE = "moorage-voice";
const NOTHING: Choice = { aloud: false, handsFree: false, voice: null, speed: null };

class Chosen extends Watched {
  now: Choice = { ...NOTHING, ...kept() };

  choose(choice: Partial<Choice>): void {
    this.now = { ...this.now, ...choice };
    try {
      localStorage.setItem(PLACE, JSON.stringify(this.now));
    } catch {
      // The browser keeps nothing: then it holds for this page.
    }
    this.changed();
  }
}

function kept(): Partial<Choice> {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(PLACE) ?? "{}");
    return typeof found === "object" && found !== null ? found : {};
  } catch {
    return {};
  }
}

export const chosen = new Chosen();
