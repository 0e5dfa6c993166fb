// A new conversation: it is made when the first thing is said in it.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { useTitle } from "../forms";
import { ADMIN, MAY as ADMINS } from "../places";
import { go, usePath } from "../router";
import { useVoice } from "../voice/offered";
import * as chats from "./chats";
import { lastChoice, useNobody } from "./choice";
import { Composer } from "./composer";
import type { ChatProps } from "./page";
import { LIST, MAY, pageOf } from "./place";
import { keep, Talk } from "./talk";

export function Beginning(props: ChatProps): JSX.Element {
  useTitle("Chat");
  const { mount, state, refresh } = props;
  const [options, setOptions] = useState<chats.GenerationOptions>(lastChoice);
  const [tools, setTools] = useState<string[]>([]);
  // Kept while its first message cannot be sent: not one more with each try.
  const made = useRef<Talk | null>(null);
  const nobody = useNobody(mount);
  const voice = useVoice(state);
  useEffect(() => () => made.current?.end(), []);
  const may = (permission: string) => state.user.permissions.includes(permission);
  // Beside the list, whose page it is.
  const Heading = usePath() === LIST ? "h2" : "h1";
  const begin = async (content: string) => {
    made.current ??= new Talk(mount, (await chats.create(mount)).id, refresh);
    if (tools.length > 0) await chats.chooseTools(mount, made.current.id, tools);
    const talk = made.current;
    await talk.send(content, options);
    keep(talk);
    made.current = null;
    go(pageOf(talk.id), location.pathname === `${LIST}/new`);
  };
  return (
    <section class="talk" aria-label="New conversation">
      <div class="bar">
        <a class="back" href={LIST} aria-label="Conversations">
          ‹
        </a>
        <Heading>New conversation</Heading>
      </div>
      <div class="beginning">
        {nobody ? (
          <p class="empty">
            No model can answer yet. Whoever runs this server names a provider of models in its configuration file, under{" "}
            <code>[plugins.chat.providers]</code>
            {may(ADMINS.readPlugins) ? (
              <>
                , and reloads it: see <a href={`${ADMIN.plugins}/chat`}>the plugin chat</a>.
              </>
            ) : (
              "."
            )}
          </p>
        ) : may(MAY.write) && may(MAY.generate) ? (
          <p>
            Say something to begin. An answer goes on when you close the page, and is here when you come back.
          </p>
        ) : (
          <p class="empty">Your role may not talk to models. Ask an administrator for the right.</p>
        )}
      </div>
      {may(MAY.write) && may(MAY.generate) && (
        <Composer
          {...props}
          draft="new"
          options={options}
          onOptions={setOptions}
          tools={tools}
          onTools={async (chosen) => setTools(chosen)}
          send={begin}
          live={null}
          stop={async () => undefined}
          focus
          voice={voice}
        />
      )}
    </section>
  );
}
