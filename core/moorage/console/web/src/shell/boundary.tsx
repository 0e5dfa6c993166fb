// In place of a part of the page that could not be fetched, or that broke: a lost connection must not look like waiting.
import { Component, type ComponentChildren } from "preact";
import { isOutdated, reloadOnce } from "../newer";
import { Trouble } from "./trouble";

const FAILED = "This part of the page could not be loaded. Check the connection and try again.";
const OUTDATED = "There is a newer version of this page. Load it to go on.";

interface State {
  failed: boolean;
  /** Null while the server is asked why. */
  text: string | null;
}

export class Boundary extends Component<{ children: ComponentChildren }, State> {
  override state: State = { failed: false, text: null };

  static getDerivedStateFromError(): State {
    return { failed: true, text: null };
  }

  private readonly elsewhere = (): void => this.setState({ failed: false, text: null });

  override componentDidMount(): void {
    window.addEventListener("popstate", this.elsewhere);
  }

  override componentWillUnmount(): void {
    window.removeEventListener("popstate", this.elsewhere);
  }

  override componentDidCatch(error: unknown): void {
    console.warn(error);
    void this.explain();
  }

  private async explain(): Promise<void> {
    const outdated = await isOutdated();
    // Whoever went elsewhere meanwhile is not taken away from there.
    if (!this.state.failed || (outdated && reloadOnce())) return;
    this.setState({ text: outdated ? OUTDATED : FAILED });
  }

  override render(): ComponentChildren {
    const { failed, text } = this.state;
    if (!failed) return this.props.children;
    if (text === null) return <p class="loading">Loading…</p>;
    return <Trouble text={text} retry={async () => location.reload()} label={text === OUTDATED ? "Load it" : "Try again"} />;
  }
}
