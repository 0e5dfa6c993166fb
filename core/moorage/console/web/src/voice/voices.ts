// The voices that there are: their names as the server's socket tells them, with more about them where its HTTP does.
import * as api from "../api";
import { message } from "./message";
import type { Voice } from "./offered";

export interface Speaker {
  id: string;
  name: string;
  /** As "en-gb"; "" where it is not told. */
  language: string;
  /** "female", "male", "". */
  gender?: string;
  /** What else is to say: the engine, mostly. */
  description?: string;
}

const LONGEST_WAIT = 30_000;

export async function voices(voice: Voice): Promise<Speaker[]> {
  const [ids, more] = await Promise.all([listed(voice.speaks ?? ""), detailed(voice.mount)]);
  const known = new Map(more.map((one) => [one.id, one]));
  return ids.map((id) => known.get(id) ?? { id, name: id, language: "" });
}

/** A service elsewhere may have none of this. */
const detailed = (mount: string): Promise<Speaker[]> =>
  api.get<{ voices: Speaker[] }>(`${mount}/v1/audio/voices/detailed`).then(
    ({ voices: found }) => (Array.isArray(found) ? found : []),
    () => [],
  );

const listed = (url: string): Promise<string[]> =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    const end = (problem: string) => {
      clearTimeout(timer);
      socket.onclose = null;
      socket.close();
      reject(new Error(problem));
    };
    const timer = setTimeout(() => end("The server does not say which voices there are."), LONGEST_WAIT);
    socket.onopen = () => socket.send('{"command":"list_voices"}');
    socket.onclose = () => end("The server does not speak now. Try again in a moment.");
    socket.onmessage = ({ data }: MessageEvent<unknown>) => {
      const { type, voices: ids, message: problem } = message(data);
      if (type === "error") end(typeof problem === "string" ? problem : "The server does not speak now.");
      if (type !== "voices" || !Array.isArray(ids)) return;
      resolve(ids.map(String));
      end("");
    };
  });
