// A conversation that somebody shared by link: to be read, by anybody who has it.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../api";
import { useTitle, words } from "../forms";
import { useQuery } from "../router";
import { Trouble } from "../shell/trouble";
import { full } from "../time";
import * as chats from "./chats";
import { Message } from "./message";
import { underOf } from "./place";
import "./chat.css";

const NOTHING = {};
const nobody = () => undefined;

export default function SharedPage({ token }: { token: string }): JSX.Element {
  const [found, setFound] = useState<chats.Shared | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [missing, setMissing] = useState(false);
  const under = underOf(useQuery());
  useTitle(found?.title ?? "Shared conversation");
  const look = async () => {
    try {
      setFound(await chats.shared(under ?? "", token));
      setProblem(null);
    } catch (error) {
      setMissing(error instanceof ApiError && error.status === 404);
      setProblem(words(error));
    }
  };
  useEffect(() => void look(), [token, under]);
  if (missing || under === null) {
    return (
      <main class="narrow">
        <h1>Nothing is shared here</h1>
        <p>The link was taken back, or the conversation was deleted. Look whether the whole link was copied.</p>
      </main>
    );
  }
  if (found === null) return <main>{problem === null ? <p class="loading">Loading…</p> : <Trouble text={problem} retry={look} />}</main>;
  return (
    <main class="shared">
      <h1>{found.title}</h1>
      <p class="hint">
        Shared to be read{found.shared_at !== null && <>, as it was on {full(chats.utc(found.shared_at))}</>}
      </p>
      <div class="inner">
        {found.messages.map((message) => (
          <Message key={message.id} message={message} versions={[message]} deeds={NOTHING} last={false} editing={false} setEditing={nobody} />
        ))}
      </div>
    </main>
  );
}
