// What can be done with a conversation as a whole: named, shared by link, taken along, deleted.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Copy } from "../copy";
import { Dialog } from "../dialog";
import { Confirm, Problem, Said, useTask } from "../forms";
import { go } from "../router";
import * as chats from "./chats";
import type { ChatProps } from "./page";
import { LIST, MAY, sharedPage } from "./place";
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
      {may(MAY.share) && <Share mount={mount} id={conversation.id} refresh={refresh} />}
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

/** A link by which anybody can read it. It is shown when it is made, and never again: only its digest is kept. */
function Share({ mount, id, refresh }: { mount: string; id: number; refresh: () => Promise<void> }): JSX.Element {
  const [link, setLink] = useState<string | null>(null);
  const [said, setSaid] = useState<string | null>(null);
  const task = useTask(refresh);
  const make = () =>
    void task.run(async () => {
      const { token } = await chats.share(mount, id);
      setLink(location.origin + sharedPage(mount, token));
      setSaid(null);
    });
  const end = () =>
    void task.run(async () => {
      await chats.unshare(mount, id);
      setLink(null);
      setSaid("No link leads here any more.");
    });
  return (
    <div class="share">
      <h3>Share it</h3>
      <p class="hint">Whoever has the link can read the branch that is shown, without signing in, until you take it back.</p>
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
          {link === null ? "Make a link" : "Make another link"}
        </button>
        <button type="button" class="quiet" disabled={task.busy} onClick={end}>
          Take all links back
        </button>
      </div>
    </div>
  );
}
