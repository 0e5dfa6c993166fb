// Accounts elsewhere by which one can sign in here.
import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import * as api from "../api";
import { Confirm, useTask } from "../forms";
import { ACCOUNT } from "../places";
import { ago, full } from "../time";
import { type PartProps, Section, useList, Waiting } from "./section";

interface Identity {
  id: string;
  provider: string;
  label: string;
  email: string | null;
  created_at: string;
  last_login_at: string | null;
}

const fetchIdentities = async () => (await api.get<{ identities: Identity[] }>("/api/core/identities")).identities;

export function Identities({ providers, refresh }: PartProps & { providers: api.Provider[] }): JSX.Element | null {
  const task = useTask(refresh);
  const heading = useRef<HTMLHeadingElement>(null);
  const [said, setSaid] = useState<string | null>(null);
  const { list, load } = useList(task, fetchIdentities);
  // Where nothing can be linked, and nothing is, there is nothing to tell.
  if (providers.length === 0 && (list === null ? task.problem === null : list.length === 0)) return null;

  const link = (provider: api.Provider) =>
    task.run(async () => {
      const { url } = await api.post<{ url: string }>("/api/core/identities", { provider: provider.name, next: ACCOUNT });
      location.assign(url);
    });
  const unlink = (identity: Identity) =>
    task.run(async () => {
      await api.remove(`/api/core/identities/${encodeURIComponent(identity.id)}`);
      setSaid(`Removed: ${identity.label}.`);
      await load();
      heading.current?.focus();
    });

  return (
    <Section title="Other ways to sign in" task={task} said={said} heading={heading}>
      {list === null ? (
        <Waiting task={task} load={load} />
      ) : (
        <ul class="rows">
          {list.map((identity) => (
            <li class="item" key={identity.id}>
              <div>
                <strong>{identity.label}</strong>
                <p>
                  {identity.email ?? "no e-mail address"}, linked{" "}
                  <time title={full(identity.created_at)}>{ago(identity.created_at)}</time>
                  {identity.last_login_at !== null && (
                    <>
                      , last used <time title={full(identity.last_login_at)}>{ago(identity.last_login_at)}</time>
                    </>
                  )}
                </p>
              </div>
              <Confirm
                label="Remove"
                about={identity.label}
                question="Sign in with it no more?"
                yes="Remove it"
                busy={task.busy}
                act={() => void unlink(identity)}
              />
            </li>
          ))}
        </ul>
      )}
      <div class="choice">
        {providers.map((provider) => (
          <button type="button" class="quiet" key={provider.name} disabled={task.busy} onClick={() => void link(provider)}>
            Link {provider.label}
          </button>
        ))}
      </div>
    </Section>
  );
}
