// "May this person do that?": the server's answer with each reason. The question is in the address.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Problem, words } from "../forms";
import { ADMIN } from "../places";
import { go, useQuery } from "../router";
import { ANY, byPlugin } from "../words";
import { Part } from "./part";
import type { Permission } from "./pluginstates";
import { type Answer, explain } from "./roledata";

export function MayThey({ permissions }: { permissions: Permission[] }): JSX.Element {
  const query = useQuery();
  const user = query.get("user") ?? "";
  const permission = query.get("may") ?? "";
  const owner = query.get("owner") ?? "";
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const asked = `${user}\n${permission}\n${owner}`;
  useEffect(() => {
    setAnswer(null);
    setProblem(null);
    if (user === "" || permission === "") return;
    let over = false;
    void (async () => {
      try {
        const found = await explain(user, permission, owner);
        if (!over) setAnswer(found);
      } catch (error) {
        if (!over) setProblem(words(error));
      }
    })();
    return () => {
      over = true;
    };
  }, [asked]);

  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const next = new URLSearchParams(query);
    for (const name of ["user", "may", "owner"]) {
      const value = String(form.get(name) ?? "").trim();
      if (value === "") next.delete(name);
      else next.set(name, value);
    }
    go(`${ADMIN.roles}?${next}`, true);
  };
  const names = { autocomplete: "off", autocapitalize: "none", spellcheck: false, maxLength: 255 } as const;
  return (
    <Part title="May they do that?">
      <form class="filters" onSubmit={submit}>
        <label>
          Who
          <input name="user" {...names} key={`user ${user}`} defaultValue={user} placeholder="username" required />
        </label>
        <label>
          What
          <select name="may" key={`may ${permission}`} defaultValue={permission} required>
            <option value="">Choose…</option>
            {byPlugin(permissions).map(([plugin, found]) => (
              <optgroup key={plugin} label={plugin}>
                {found.flatMap(({ name, summary, any_role: any }) => [
                  <option key={name} value={name} selected={name === permission}>
                    {summary} ({name})
                  </option>,
                  any !== null && (
                    <option key={name + ANY} value={name + ANY} selected={name + ANY === permission}>
                      {summary}, everybody's ({name + ANY})
                    </option>
                  ),
                ])}
              </optgroup>
            ))}
          </select>
        </label>
        <label>
          With the things of (if not their own)
          <input name="owner" {...names} key={`owner ${owner}`} defaultValue={owner} placeholder="username" />
        </label>
        <button type="submit">Ask</button>
      </form>
      <Problem text={problem} />
      <div role="status">{answer !== null && <Said answer={answer} owner={owner} />}</div>
    </Part>
  );
}

function Said({ answer, owner }: { answer: Answer; owner: string }): JSX.Element {
  return (
    <>
      <p>
        <strong class={answer.allowed ? "yes" : "no"}>{answer.allowed ? "Yes" : "No"}</strong>: {answer.user} ({answer.role}){" "}
        {answer.allowed ? "may" : "may not"} use <code>{answer.permission}</code>
        {owner !== "" && ` with what is ${owner}'s`}.
      </p>
      <ol class="reasons">
        {answer.reasons.map((reason) => (
          <li key={reason}>{reason}</li>
        ))}
      </ol>
    </>
  );
}
