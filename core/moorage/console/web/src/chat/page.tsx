// Conversations with models: the list beside the one that is open. On a phone one at a time.
import type { JSX } from "preact";
import { lazy } from "preact/compat";
import { useEffect } from "preact/hooks";
import { type PageProps } from "../app";
import { useTitle } from "../forms";
import { useViewport } from "../terminal/viewport";
import { dictation } from "../voice/dictation";
import { Conversation } from "./conversation";
import { List } from "./list";
import { Beginning } from "./new";
import { LIST, mountOf } from "./place";
import "../list.css";
import "./chat.css";

const Usage = lazy(() => import("./usage"));

/** What the parts of the page are given. */
export type ChatProps = PageProps & { mount: string };

/** `part`: what follows in the address: a conversation's number, "new", "usage", or nothing. */
export default function ChatPage({ part, ...props }: PageProps & { part: string }): JSX.Element {
  const mount = mountOf(props.state);
  useViewport();
  // Whoever leaves is not listened to when coming back.
  useEffect(() => () => dictation.end(), []);
  if (mount === null) {
    return (
      <main>
        <h1>Chat</h1>
        <p class="empty">
          No chat is served at this address. Whoever runs this server switches it on with <code>moorage plugins enable chat</code>.
        </p>
      </main>
    );
  }
  const all: ChatProps = { ...props, mount };
  const id = /^[1-9][0-9]{0,9}$/.test(part) ? Number(part) : null;
  return (
    <main class={part === "" ? "chat" : "chat open"}>
      <List {...all} open={id} />
      {part === "usage" ? (
        <Usage {...all} />
      ) : part === "" || part === "new" ? (
        <Beginning key="new" {...all} />
      ) : id === null ? (
        <Missing />
      ) : (
        <Conversation key={id} {...all} id={id} />
      )}
    </main>
  );
}

export function Missing(): JSX.Element {
  useTitle("Chat");
  return (
    <div class="talk">
      <div class="beginning">
        <h1>There is no such conversation</h1>
        <p>
          It was deleted, or it is somebody else's. <a href={LIST}>Your conversations</a>
        </p>
      </div>
    </div>
  );
}
