// One's own account: name, password, where one is signed in, other ways in, keys for programs.
import type { JSX } from "preact";
import type { PageProps } from "../app";
import { useTitle } from "../forms";
import { Identities } from "./identities";
import { Keys } from "./keys";
import { Password } from "./password";
import { Profile } from "./profile";
import { Sessions } from "./sessions";

export default function AccountPage({ state, refresh }: PageProps): JSX.Element {
  useTitle("Your account");
  return (
    <main class="account">
      <h1>Your account</h1>
      <Profile user={state.user} refresh={refresh} />
      <Password username={state.user.username} refresh={refresh} />
      <Sessions refresh={refresh} />
      <Identities providers={state.providers} refresh={refresh} />
      <Keys user={state.user} refresh={refresh} />
    </main>
  );
}
