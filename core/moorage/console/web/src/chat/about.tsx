// What can be done with a conversation as a whole: named, shared by link, taken along, deleted.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Copy } from "../copy";
import { Dialog } from "../dialog";
import { Confirm, Problem, Said, useTask } from "../forms";
import { go } from "../router";
import * as chats from "./chats";
import type { ChatProps } from "./page";
import { LIST, MAY } from "./place";
import { type Talk, tell } from "./talk";

type AboutProps = ChatProps & { talk: Talk; conversation: chats.Conversation; onClose: () => void };

export function About({ mount, state, refresh, talk, conversation, onClose }: AboutProps): JSX.Element {
  const task = useTask(refresh);
  const may = (permission: string) => state.user.permissions.includes(permission);
  const rename = (event: SubmitEvent) => {
    event.preventDefault();
    const title = String(new FormData(event.currentTarget as HTMLFormElement).get("title")).trim();
    void task.run(() => talk.rename(title)).then((good) => good && onClose());
  };
  const remove = () =>
    void task.run(async () => {
      await chats.remove(mount, conversation.id);
      tell(conversation.id);
      go(LIST);
    });
  return (
    <Dialog title="This conversation" onClose={onClose}>
      {may(MAY.write) && (
        <form class="row" onSubmit={rename}>
          <label>
            Title
            <input name="title" defaultValue={conversation.title} maxLength={500} autocomplete="off" />
          </label>
          <button type="submit" disabled={task.busy}>
            Rename
          </button>
        </form>
      )}
      {may(MAY.share) && <Share mount={mount} talk={talk} conversation={conversation} refresh={refresh} />}
      <div class="choice">
        <a class="button" href={chats.exportOf(mount, conversation.id, "markdown")} download>
          Export as Markdown
        </a>
        <a class="button" href={chats.exportOf(mount, conversation.id, "json")} download>
          Export as JSON
        </a>
      </div>
      <Problem text={task.problem} />
      {may(MAY.write) && (
        <div class="ending">
          <Confirm label="Delete it…" question="Delete it with all that was said in it?" yes="Delete it" busy={task.busy} act={remove} />
        </div>
      )}
    </Dialog>
  );
}

type ShareProps = Pick<AboutProps, "mount" | "talk" | "conversation" | "refresh">;

/** A link by which anybody can read it. It is shown when it is made, and never again: only its digest is kept. */
function Share({ mount, talk, conversation, refresh }: ShareProps): JSX.Element {
  const [link, setLink] = useState<string | null>(null);
  const [said, setSaid] = useState<string | null>(null);
  const task = useTask(refresh);
  const { id, shared } = conversation;
  const act = (work: () => Promise<string | null>, text: string | null) =>
    void task.run(async () => {
      setLink(await work());
      setSaid(text);
      await talk.look(true);
    });
  const make = () => act(async () => (await chats.share(mount, id)).url, null);
  const renew = () => act(async () => (await chats.renew(mount, id), link), "The link shows what there is now.");
  const end = () => act(async () => (await chats.unshare(mount, id), null), "The link leads nowhere any more.");
  return (
    <div class="share">
      <h3>Share it</h3>
      <p class="hint">
        Whoever has the link can read, without signing in, what you see here now. What is said later stays yours.
        {shared && " A link leads here."}
      </p>
      {link !== null && (
        <div class="secret">
          <input readOnly value={link} aria-label="Link" onFocus={(event) => event.currentTarget.select()} />
          <Copy text={link} about="the link">
            Copy
          </Copy>
        </div>
      )}
      <Problem text={task.problem} />
      <Said>{said}</Said>
      <div class="choice">
        <button type="button" class="quiet" disabled={task.busy} onClick={make}>
          {!shared ? "Make a link" : "Make another link"}
        </button>
        {shared && (
          <>
            <button type="button" class="quiet" disabled={task.busy} onClick={renew}>
              Show what is here now
            </button>
            <button type="button" class="quiet" disabled={task.busy} onClick={end}>
              Take the link back
            </button>
          </>
        )}
      </div>
    </div>
  );
}
