// The application: who is signed in, and which page is shown.
import { Fragment, type JSX } from "preact";
import { lazy, Suspense } from "preact/compat";
import { useState } from "preact/hooks";
import type * as api from "./api";
import type { Arrival } from "./arrival";
import * as chat from "./chat/place";
import Home from "./home/page";
import { useKnown } from "./known";
import * as memories from "./memories/place";
import { ACCOUNT, ADMIN, DEVICE, HOME, PLUGIN_PAGES } from "./places";
import { LoginAgain } from "./pages/again";
import { Login } from "./pages/login";
import { Setup } from "./pages/setup";
import { after, usePath } from "./router";
import * as sessions from "./sessions/sessions";
import { Boundary } from "./shell/boundary";
import { useArrival } from "./shell/arrival";
import { CONTENT, Frame } from "./shell/frame";
import { Nothing } from "./shell/nothing";
import { Trouble } from "./shell/trouble";
import * as tmux from "./tmux";
import * as workspaces from "./workspaces/workspaces";

// What one sees first is fetched with the application; each other page when it is opened.
const TerminalsPage = lazy(() => import("./terminals/page"));
const TerminalPage = lazy(() => import("./pages/terminal"));
const AccountPage = lazy(() => import("./account/page"));
const DevicePage = lazy(() => import("./pages/device"));
const AuthorizePage = lazy(() => import("./pages/authorize"));
const RecordingsPage = lazy(() => import("./recordings/page"));
const ReplayPage = lazy(() => import("./replay/page"));
const SessionsPage = lazy(() => import("./sessions/page"));
const SessionPage = lazy(() => import("./sessions/one"));
const WorkspacesPage = lazy(() => import("./workspaces/page"));
const WorkspacePage = lazy(() => import("./workspaces/one"));
const ChatPage = lazy(() => import("./chat/page"));
const SharedPage = lazy(() => import("./chat/shared"));
const MemoriesPage = lazy(() => import("./memories/page"));
const PluginPage = lazy(() => import("./plugin/page"));
const Administration = lazy(() => import("./admin"));
const InvitePage = lazy(() => import("./pages/invite"));

export interface PageProps {
  state: api.State & { user: api.User };
  /** Ask the server again who is signed in; a page calls it when it was told 401. */
  refresh: () => Promise<void>;
}

export function App({ setup: setupToken, refusal: arrived }: Arrival): JSX.Element {
  const [refusal, setRefusal] = useState(arrived);
  const path = usePath();
  const { state, problem, ended, kept, latest, refresh, signOut } = useKnown(path);
  useArrival(path, CONTENT);
  // Why a login failed is told where the browser came back to, not on the pages after.
  const [cameTo] = useState(path);

  if (state === null) {
    return (
      <Frame>
        {problem === null ? <p class="loading">Loading…</p> : <Trouble text={problem} retry={refresh} />}
      </Frame>
    );
  }
  const signedIn = async () => {
    setRefusal(null);
    await refresh();
    if (latest()?.user === null) throw new Error(NOT_KEPT);
  };
  const login = <Login state={state} refusal={ended ? ENDED : refusal} done={signedIn} />;
  const invite = after("/invite/", path);
  if (invite !== null) {
    return (
      <Frame state={state} refresh={refresh} signOut={signOut}>
        {wait(<InvitePage key={invite} token={invite} state={state} login={login} refresh={refresh} />)}
      </Frame>
    );
  }
  const shared = after(chat.SHARED, path);
  if (shared !== null) {
    return (
      <Frame state={state} refresh={refresh} signOut={signOut}>
        {wait(<SharedPage key={shared} token={shared} />)}
      </Frame>
    );
  }
  const seen = kept ?? state;
  if (seen.user === null) {
    const first = state.setup && setupToken !== null;
    return <Frame>{first ? <Setup token={setupToken} done={refresh} /> : login}</Frame>;
  }
  const name = seen.user.username;
  const props: PageProps = { state: { ...seen, user: seen.user }, refresh };
  return (
    <Frame state={seen} refresh={refresh} signOut={signOut}>
      {kept !== null && <LoginAgain state={state} name={name} done={signedIn} />}
      {refusal !== null && path === cameTo && <Trouble text={refusal} />}
      {problem !== null && <Trouble text={problem} retry={refresh} />}
      <Fragment key={seen.user.id}>{wait(page(path, props))}</Fragment>
    </Frame>
  );
}

const ENDED = "You were signed out: this login was ended, elsewhere or by an administrator. Sign in to go on.";
const NOT_KEPT =
  "You are signed in, but your browser did not keep it. Allow cookies for this address, and open it by https if it has that.";

const wait = (page: JSX.Element): JSX.Element => (
  <Boundary>
    <Suspense fallback={<p class="loading">Loading…</p>}>{page}</Suspense>
  </Boundary>
);

function page(path: string, props: PageProps): JSX.Element {
  if (path === tmux.LIST) return <TerminalsPage {...props} />;
  const session = after(tmux.ONE, path);
  if (session !== null) return <TerminalPage key={session} session={session} {...props} />;
  const recording = after(`${tmux.RECORDINGS}/`, path);
  if (recording !== null) return <ReplayPage key={recording} id={recording} {...props} />;
  if (path === tmux.RECORDINGS) return <RecordingsPage {...props} />;
  if (path === sessions.LIST) return <SessionsPage {...props} />;
  const agent = after(`${sessions.LIST}/`, path);
  if (agent !== null) {
    const [id = "", tab = ""] = agent.split("/");
    return <SessionPage key={id} id={id} tab={tab} {...props} />;
  }
  if (path === workspaces.LIST) return <WorkspacesPage {...props} />;
  const workspace = after(`${workspaces.LIST}/`, path);
  if (workspace !== null) {
    const [id = "", tab = ""] = workspace.split("/");
    return <WorkspacePage key={id} id={id} tab={tab} {...props} />;
  }
  if (path === chat.LIST) return <ChatPage part="" {...props} />;
  const talk = after(`${chat.LIST}/`, path);
  if (talk !== null) return <ChatPage part={talk} {...props} />;
  if (path === memories.LIST) return <MemoriesPage {...props} />;
  if (path === ADMIN.overview || path.startsWith(`${ADMIN.overview}/`)) return <Administration path={path} {...props} />;
  const own = after(PLUGIN_PAGES, path);
  if (own !== null) {
    const [plugin = "", name = "", ...rest] = own.split("/");
    const found = props.state.pages.find((page) => page.plugin === plugin && page.name === name);
    if (found !== undefined) return <PluginPage key={`${plugin}/${name}`} page={found} path={rest.join("/")} {...props} />;
  }
  if (path === ACCOUNT) return <AccountPage {...props} />;
  if (path === DEVICE) return <DevicePage {...props} />;
  if (path === "/console/authorize") return <AuthorizePage {...props} />;
  if (path === HOME || path === "/console" || path === "/console/") return <Home {...props} />;
  return (
    <Nothing>
      There is no page at this address. <a href={HOME}>Go to the start</a>.
    </Nothing>
  );
}
