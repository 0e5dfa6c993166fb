// A plugin's own page: its module is fetched from the plugin, and given an element of the page to fill.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import * as api from "../api";
import type { PageProps } from "../app";
import { go, useQuery } from "../router";
import { Trouble } from "../shell/trouble";

/** What a module's default export is called with besides the element. `api` is `fetch` for the plugin's own routes. */
interface Context {
  user: { id: string; username: string; name: string; role: string };
  path: string;
  query: URLSearchParams;
  api: (path: string, options?: RequestInit) => Promise<Response>;
  go: (path: string) => void;
}

type Mount = (element: HTMLElement, context: Context) => unknown;

export default function PluginPage({ page, path, state }: PageProps & { page: api.Page; path: string }): JSX.Element {
  const place = useRef<HTMLElement>(null);
  const query = useQuery();
  const [problem, setProblem] = useState<string | null>(null);
  const [attempt, setAttempt] = useState(0);
  const user = state.user;

  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    let over = false;
    let leave: unknown;
    setProblem(null);
    document.title = `${page.title} – Moorage`;
    const { id, username, name, role } = user;
    const context: Context = { user: { id, username, name, role }, path, query, api: callsOf(page.mount), go };
    // A module that failed is remembered by the browser: another address fetches it anew.
    const address = attempt === 0 ? page.module : `${page.module}?attempt=${attempt}`;
    void (async () => {
      try {
        const { default: mount } = (await import(address)) as { default: Mount };
        if (over) return;
        leave = await mount(element, context);
        if (over) end(leave);
      } catch (error) {
        console.warn(error);
        if (!over) setProblem(`The page of the plugin ${page.plugin} could not be shown. Try again, or tell who runs this server.`);
      }
    })();
    return () => {
      over = true;
      end(leave);
      element.replaceChildren();
    };
  }, [page.module, path, attempt, user.id]);

  return (
    <main>
      {problem !== null && <Trouble text={problem} retry={async () => setAttempt(attempt + 1)} />}
      <section ref={place} class="plugin" aria-label={page.title} />
    </main>
  );
}

function end(leave: unknown): void {
  if (typeof leave === "function") (leave as () => void)();
}

/** `fetch` below the plugin's mount, signed in, and with the CSRF token on what changes something. */
function callsOf(mount: string): Context["api"] {
  return async (path, options = {}) => {
    const headers = new Headers(options.headers);
    if (!headers.has("Accept")) headers.set("Accept", "application/json");
    const method = (options.method ?? "GET").toUpperCase();
    if (!["GET", "HEAD"].includes(method)) headers.set("X-CSRF-Token", await api.csrf(path));
    return fetch(`${mount.replace(/\/$/, "")}${path}`, { ...options, headers, credentials: "same-origin" });
  };
}
