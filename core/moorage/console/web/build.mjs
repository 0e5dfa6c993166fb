// Bundles the console into the folder named by the first argument: index.html and assets/ with hashed names.
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { build } from "esbuild";

const here = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
const out = path.resolve(process.argv[2] ?? path.join(here, "..", "static"));

await rm(path.join(out, "assets"), { recursive: true, force: true });
await mkdir(path.join(out, "assets"), { recursive: true });

const result = await build({
  absWorkingDir: here,
  entryPoints: { main: "src/main.tsx" },
  outdir: path.join(out, "assets"),
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  publicPath: "/console/assets",
  bundle: true,
  splitting: true,
  format: "esm",
  target: ["chrome109", "firefox115", "safari16.4"],
  jsx: "automatic",
  jsxImportSource: "preact",
  minify: true,
  metafile: true,
  legalComments: "linked",
  logLevel: "warning",
});

const names = Object.entries(result.metafile.outputs);
const entry = names.find(([, output]) => output.entryPoint === "src/main.tsx");
if (!entry) throw new Error("the bundle has no entry point");
const url = (file) => `/console/assets/${path.basename(file)}`;
const page = (await readFile(path.join(here, "index.html"), "utf8"))
  .replace("{{script}}", url(entry[0]))
  .replace("{{style}}", url(entry[1].cssBundle));
await writeFile(path.join(out, "index.html"), page);
