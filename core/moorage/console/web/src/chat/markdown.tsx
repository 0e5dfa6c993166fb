// Answers of models as Markdown. Elements are made here, one by one, of the blocks that are found: no text of a model is
// ever read as HTML, no picture is fetched (its address could carry what was said to whoever serves it), and links lead
// only to the web and to mail.
import type { Token, Tokens } from "marked";
import type { ComponentChildren, JSX } from "preact";
import { memo } from "preact/compat";
import { useRef } from "preact/hooks";
import { Copy } from "../copy";
import { Blocks } from "./blocks";
import { plain as words } from "./references";

export interface MarkdownProps {
  text: string;
  /** Whether more will come. */
  grows?: boolean;
}

export default function Markdown({ text, grows = false }: MarkdownProps): JSX.Element {
  const blocks = useRef<Blocks | null>(null);
  blocks.current ??= new Blocks();
  return (
    <div class="markdown">
      {blocks.current.read(text, !grows).map((token, index) => (
        <Block key={index} token={token} final={!grows} />
      ))}
    </div>
  );
}

/** Made again only when its own text changed, so that what is selected in it stays so. */
const Block = memo(
  ({ token }: { token: Token; final: boolean }) => <>{block(token)}</>,
  (before, now) => before.final === now.final && before.token.raw === now.token.raw,
);

function block(token: Token): ComponentChildren {
  const found = token as Tokens.Generic;
  switch (token.type) {
    case "space":
    case "def":
      return null;
    case "hr":
      return <hr />;
    case "heading": {
      // The page has headings of its own above these.
      const Level = `h${Math.min(found["depth"] + 2, 6)}` as "h3";
      return <Level>{inline(found.tokens)}</Level>;
    }
    case "code":
      return <Code text={found["text"]} language={/^\S*/.exec(found["lang"] ?? "")?.[0] ?? ""} />;
    case "blockquote":
      return <blockquote>{blocks(found.tokens)}</blockquote>;
    case "list":
      return list(token as Tokens.List);
    case "table":
      return table(token as Tokens.Table);
    case "paragraph":
      return <p>{inline(found.tokens)}</p>;
    case "text":
      // The line of a tight list's item.
      return found.tokens === undefined ? words(found["text"]) : inline(found.tokens);
    case "html":
      return <p class="raw">{found["text"]}</p>;
    default:
      return inline([token]);
  }
}

const blocks = (tokens: Token[] | undefined): ComponentChildren => tokens?.map((token, index) => <Block key={index} token={token} final />);

function list(token: Tokens.List): JSX.Element {
  const items = token.items.map((item, index) => (
    <li key={index} class={item.task ? "task" : undefined}>
      {item.tokens.map(block)}
    </li>
  ));
  return token.ordered ? <ol start={token.start === "" ? 1 : token.start}>{items}</ol> : <ul>{items}</ul>;
}

function table({ header, rows }: Tokens.Table): JSX.Element {
  const cell = (Name: "th" | "td") => (one: Tokens.TableCell, index: number) => (
    <Name key={index} class={one.align ?? undefined}>
      {inline(one.tokens)}
    </Name>
  );
  return (
    <div class="wide" tabIndex={0} role="group" aria-label="Table">
      <table>
        <thead>
          <tr>{header.map(cell("th"))}</tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={index}>{row.map(cell("td"))}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function inline(tokens: Token[] | undefined): ComponentChildren {
  return tokens?.map((token, index) => <Inline key={index} token={token} />);
}

function Inline({ token }: { token: Token }): JSX.Element {
  const found = token as Tokens.Generic;
  switch (token.type) {
    case "strong":
      return <strong>{inline(found.tokens)}</strong>;
    case "em":
      return <em>{inline(found.tokens)}</em>;
    case "del":
      return <del>{inline(found.tokens)}</del>;
    case "codespan":
      return <code>{found["text"]}</code>;
    case "br":
      return <br />;
    case "checkbox":
      return <input type="checkbox" checked={found["checked"]} disabled />;
    case "escape":
      return <>{found["text"]}</>;
    case "html":
      return /^<br\s*\/?>$/i.test(found["text"]) ? <br /> : <>{found["text"]}</>;
    case "link": {
      const said = found["autolink"] ? found["text"] : inline(found.tokens);
      return <Link href={found["autolink"] ? found["href"] : words(found["href"])}>{said}</Link>;
    }
    case "image":
      return <Link href={words(found["href"])}>{words(found["text"]) || "Picture"} (picture)</Link>;
    default:
      return found.tokens === undefined ? <>{words(found["text"] ?? found.raw)}</> : <>{inline(found.tokens)}</>;
  }
}

const SCHEMES = new Set(["http:", "https:", "mailto:"]);

function leads(href: string): boolean {
  try {
    return SCHEMES.has(new URL(href).protocol);
  } catch {
    return false;
  }
}

function Link({ href, children }: { href: string; children: ComponentChildren }): JSX.Element {
  if (!leads(href)) return <>{children}</>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow" title={href}>
      {children}
    </a>
  );
}

function Code({ text, language }: { text: string; language: string }): JSX.Element {
  const about = language === "" ? "the code" : `the ${language} code`;
  return (
    <div class="block">
      <div class="head">
        <span>{language}</span>
        <Copy text={text} about={about}>
          Copy
        </Copy>
      </div>
      <pre tabIndex={0} aria-label={language === "" ? "Code" : `Code, ${language}`}>
        <code>{text}</code>
      </pre>
    </div>
  );
}
