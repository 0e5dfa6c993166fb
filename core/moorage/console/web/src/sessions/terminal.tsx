// A shell in a session's project. One connection is one shell: when it ends, a key begins another.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { socketUrl } from "../api";
import { LETTERS, cellOf } from "../terminal/letters";
import { Screen } from "../terminal/screen";
import "../terminal/terminal.css";
import * as sessions from "./sessions";

const INPUT = 0x30;
const RESIZE = 0x31;
const OUTPUT = 0x30;
const TITLE = 0x31;
const encode = new TextEncoder();

const frame = (kind: number, text: string): Uint8Array<ArrayBuffer> => {
  const bytes = encode.encode(text);
  const all = new Uint8Array(bytes.length + 1);
  all[0] = kind;
  all.set(bytes, 1);
  return all;
};

interface TerminalProps {
  mount: string;
  session: sessions.Session;
  refresh: () => Promise<void>;
}

export default function SessionTerminal({ mount, session, refresh }: TerminalProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const [ended, setEnded] = useState<string | null>(null);
  const [attempt, setAttempt] = useState(0);
  const [title, setTitle] = useState("");

  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    setEnded(null);
    let open = false;
    let over = false;
    const socket = new WebSocket(socketUrl(sessions.part(mount, session.id, "term")), ["tty"]);
    socket.binaryType = "arraybuffer";
    const send = (kind: number, text: string) => {
      if (open) socket.send(frame(kind, text));
    };
    const screen = new Screen(element, (text) => send(INPUT, text), () => false, { fits: false, isShortcut: () => false });
    screen.label = `Terminal of ${session.name}`;
    screen.letters = LETTERS;
    const decode = new TextDecoder();
    const measure = () => {
      const cell = cellOf(screen.letters);
      const columns = Math.max(20, Math.floor((element.clientWidth - 8) / cell.width));
      const rows = Math.max(5, Math.floor((element.clientHeight - 4) / cell.height));
      screen.resize(columns, rows);
      return JSON.stringify({ columns, rows });
    };
    const watch = new ResizeObserver(() => {
      const size = measure();
      send(RESIZE, size);
    });
    socket.onopen = () => {
      const size = JSON.parse(measure()) as Record<string, number>;
      socket.send(encode.encode(JSON.stringify({ AuthToken: "", ...size })));
      open = true;
      screen.typing = true;
      watch.observe(element);
      screen.focus();
    };
    socket.onmessage = (event: MessageEvent<ArrayBuffer>) => {
      const bytes = new Uint8Array(event.data);
      if (bytes[0] === OUTPUT) screen.write(decode.decode(bytes.subarray(1), { stream: true }));
      else if (bytes[0] === TITLE) setTitle(new TextDecoder().decode(bytes.subarray(1)));
    };
    socket.onclose = (event) => {
      if (over) return;
      screen.typing = false;
      const never = !open;
      open = false;
      if (never || event.code === 4001) void refresh();
      setEnded(never ? "No terminal could be opened." : event.reason === "" ? "The terminal has ended." : `The terminal has ended: ${event.reason}.`);
    };
    return () => {
      over = true;
      watch.disconnect();
      socket.close(1000);
      screen.dispose();
    };
  }, [mount, session.id, attempt]);

  return (
    <div class="shell">
      {ended !== null && (
        <div class="trouble" role="alert">
          <p>{ended}</p>
          <button type="button" ref={(button) => button?.focus()} onClick={() => setAttempt((value) => value + 1)}>
            Open another
          </button>
        </div>
      )}
      <div class="shell-screen" ref={box} />
      <p class="unseen">{title}</p>
    </div>
  );
}
