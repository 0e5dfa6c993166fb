// Which model answers, how, and which tools it may use: chosen for a conversation, and the next one begins with it.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Dialog } from "../dialog";
import { Problem, useTask, words } from "../forms";
import * as chats from "./chats";

const PLACE = "moorage-chat-model";
/** What providers and tools there are is asked again after so many milliseconds. */
const FRESH = 60_000;

/** What was chosen last in this browser. */
export function lastChoice(): chats.GenerationOptions {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(PLACE) ?? "{}");
    return typeof found === "object" && found !== null ? found : {};
  } catch {
    return {};
  }
}

function keepChoice(options: chats.GenerationOptions): void {
  try {
    localStorage.setItem(PLACE, JSON.stringify(options));
  } catch {
    // The browser keeps nothing: then it begins with the server's choice.
  }
}

/** Asked once for all who want to know. */
function shared<T>(ask: (mount: string) => Promise<T>): (mount: string) => Promise<T> {
  let asked: { mount: string; at: number; answer: Promise<T> } | null = null;
  return (mount) => {
    if (asked === null || asked.mount !== mount || Date.now() - asked.at > FRESH) {
      const answer = ask(mount);
      asked = { mount, at: Date.now(), answer };
      answer.catch(() => {
        asked = null;
      });
    }
    return asked.answer;
  };
}

const providersOf = shared(chats.providers);
const toolSetsOf = shared(chats.toolSets);

function useShared<T>(ask: (mount: string) => Promise<T>, mount: string): { found: T | null; problem: string | null } {
  const [found, setFound] = useState<T | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    let gone = false;
    ask(mount).then(
      (answer) => !gone && setFound(answer),
      (error: unknown) => !gone && setProblem(words(error)),
    );
    return () => {
      gone = true;
    };
  }, [mount]);
  return { found, problem };
}

/** Whether nobody can answer, for no provider is set up. */
export const useNobody = (mount: string): boolean => useShared(providersOf, mount).found?.length === 0;

interface ChoiceProps {
  mount: string;
  options: chats.GenerationOptions;
  onOptions: (options: chats.GenerationOptions) => void;
  /** The sets of tools that may be used; null: not known yet. */
  tools: string[] | null;
  onTools: (tools: string[]) => Promise<void>;
}

const SEPARATOR = "\n";

export function Models({ mount, options, onOptions }: ChoiceProps): JSX.Element {
  const { found, problem } = useShared(providersOf, mount);
  const value = options.provider_id && options.model ? options.provider_id + SEPARATOR + options.model : "";
  const known = found?.some(({ id, models }) => id === options.provider_id && models.some((model) => model.id === options.model));
  const choose = (text: string) => {
    const [provider = null, model = null] = text === "" ? [] : text.split(SEPARATOR);
    const chosen = { ...options, provider_id: provider, model };
    keepChoice(chosen);
    onOptions(chosen);
  };
  return (
    <select
      class="model"
      aria-label="Model"
      title={problem ?? (found?.length === 0 ? "No provider of models is set up. Whoever runs this server adds one to its configuration." : "Which model answers")}
      value={value}
      onChange={(event) => choose(event.currentTarget.value)}
    >
      <option value="">{found?.length === 0 ? "No model" : "Any model"}</option>
      {value !== "" && !known && <option value={value}>{options.model}</option>}
      {found?.map((provider) => (
        <optgroup key={provider.id} label={provider.name}>
          {provider.models.length === 0 && <option disabled>{provider.ok ? "No model" : "Does not answer now"}</option>}
          {provider.models.map((model) => (
            <option key={model.id} value={provider.id + SEPARATOR + model.id}>
              {model.label}
            </option>
          ))}
        </optgroup>
      ))}
    </select>
  );
}

/** A button that says how much is chosen, and its dialog. */
export function Options(props: ChoiceProps): JSX.Element {
  const [open, setOpen] = useState(false);
  const chosen = props.tools?.length ?? 0;
  return (
    <>
      <button type="button" class="quiet" aria-haspopup="dialog" onClick={() => setOpen(true)}>
        {chosen === 0 ? "Options" : chosen === 1 ? "Options, 1 set of tools" : `Options, ${chosen} sets of tools`}
      </button>
      {open && (
        <Dialog title="How the model answers" onClose={() => setOpen(false)}>
          <Asking {...props} done={() => setOpen(false)} />
        </Dialog>
      )}
    </>
  );
}

const number = (value: FormDataEntryValue | null): number | null => (String(value).trim() === "" ? null : Number(value));

function Asking({ mount, options, onOptions, tools, onTools, done }: ChoiceProps & { done: () => void }): JSX.Element {
  const { found, problem } = useShared(toolSetsOf, mount);
  const task = useTask();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const chosen = { ...options, temperature: number(form.get("temperature")), max_tokens: number(form.get("max_tokens")) };
    const sets = form.getAll("tools").map(String);
    void task
      .run(async () => {
        if (found !== null && tools !== null && sets.join() !== tools.join()) await onTools(sets);
        keepChoice(chosen);
        onOptions(chosen);
      })
      .then((good) => good && done());
  };
  return (
    <form onSubmit={submit}>
      <label>
        Temperature
        <input name="temperature" type="number" min="0" max="2" step="0.1" defaultValue={options.temperature ?? ""} placeholder="The model's own" />
      </label>
      <label>
        Longest answer, in tokens
        <input name="max_tokens" type="number" min="1" max="10000000" step="1" defaultValue={options.max_tokens ?? ""} placeholder="The model's own" />
      </label>
      <fieldset class="tools">
        <legend>Tools that the model may use</legend>
        {problem !== null && <p class="problem">{problem}</p>}
        {(found === null || tools === null) && problem === null && <p class="loading">Loading…</p>}
        {found?.length === 0 && <p class="hint">There are none. An MCP workspace of yours would be one.</p>}
        {tools !== null && found?.map((set) => <Tools key={set.id} mount={mount} set={set} chosen={tools.includes(set.id)} />)}
      </fieldset>
      <Problem text={task.problem} />
      <div class="choice">
        <button type="submit" disabled={task.busy}>
          Use these
        </button>
      </div>
    </form>
  );
}

/** A set that can be chosen. Its tools are asked for when somebody wants to see them: programs are started for that. */
function Tools({ mount, set, chosen }: { mount: string; set: chats.ToolSet; chosen: boolean }): JSX.Element {
  const [inside, setInside] = useState<chats.Tool[] | null>(null);
  const task = useTask();
  const look = (open: boolean) => {
    if (open && inside === null) void task.run(async () => setInside(await chats.tools(mount, set.id)));
  };
  return (
    <div>
      <label class="pick">
        <input type="checkbox" name="tools" value={set.id} defaultChecked={chosen} />
        {set.label}
      </label>
      <details onToggle={(event) => look(event.currentTarget.open)}>
        <summary>
          Its tools<span class="unseen"> ({set.label})</span>
        </summary>
        <Problem text={task.problem} />
        {task.busy && <p class="hint">Asking for them…</p>}
        <ul>
          {inside?.map((tool) => (
            <li key={tool.name} title={tool.description}>
              {tool.title || tool.name}
            </li>
          ))}
        </ul>
      </details>
    </div>
  );
}

/** The sets of tools of a conversation, and how to choose others. */
export function useTools(mount: string, id: number): [string[] | null, (tools: string[]) => Promise<void>] {
  const [tools, setTools] = useState<string[] | null>(null);
  useEffect(() => {
    let gone = false;
    chats.chosenTools(mount, id).then(
      (found) => !gone && setTools(found),
      // Not to be had: then there is nothing to choose.
      () => undefined,
    );
    return () => {
      gone = true;
    };
  }, [mount, id]);
  const choose = async (chosen: string[]) => {
    await chats.chooseTools(mount, id, chosen);
    setTools(chosen);
  };
  return [tools, choose];
}
