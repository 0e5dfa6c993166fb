// One's own account: name, password, where one is signed in, other ways in, keys for programs.
import type { JSX } from "preact";
import type { PageProps } from "../app";
import { useTitle } from "../forms";
import { usePolled } from "../polled";
import { Trouble } from "../shell/trouble";
import { about as fetchAbout } from "./about";
import { Identities } from "./identities";
import { Keys } from "./keys";
import { Password } from "./password";
import { Profile } from "./profile";
import { Sessions } from "./sessions";

const EVERY = 60_000;

export default function AccountPage({ state, refresh }: PageProps): JSX.Element {
  useTitle("Your account");
  const { found: about, problem, again } = usePolled(fetchAbout, EVERY, refresh);
  return (
    <main class="account">
      <h1>Your account</h1>
      {problem !== null && <Trouble text={problem} retry={again} />}
      <Profile user={state.user} about={about} refresh={refresh} />
      <Password username={state.user.username} about={about} again={again} refresh={refresh} />
      <Sessions about={about} refresh={refresh} />
      <Identities providers={state.providers} refresh={refresh} />
      <Keys user={state.user} about={about} refresh={refresh} />
    </main>
  );
}
