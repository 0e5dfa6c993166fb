// OpenCode's SDK against a session: says as JSON what came.
// Arguments: node_modules, base URL, token, and where ripgrep is: without it OpenCode finds no text.
const [modules, baseUrl, token, ripgrep] = process.argv.slice(2)
const { createOpencodeClient } = await import(`${modules}/@opencode-ai/sdk/dist/index.js`)
const client = createOpencodeClient({ baseUrl, headers: { Authorization: `Bearer ${token}` }, throwOnError: true })
const said = { events: [], granted: [] }

const events = await client.event.subscribe()
let connected
const ready = new Promise((resolve) => (connected = resolve))
const listening = (async () => {
  for await (const event of events.stream) {
    said.events.push(event.type)
    if (event.type === "server.connected") connected()
    if (event.type === "permission.asked") {
      const { id, sessionID, permission } = event.properties
      said.granted.push(permission)
      await client.postSessionIdPermissionsPermissionId({
        path: { id: sessionID, permissionID: id },
        body: { response: "once" },
      })
    }
    if (event.type === "session.deleted") return
  }
})()
await ready

said.config = (await client.config.get()).data.model
said.providers = (await client.config.providers()).data.providers.map((provider) => provider.id)
if (ripgrep) {
  said.found = (await client.find.text({ query: { pattern: "needle" } })).data.map((match) => match.path.text)
}
said.files = (await client.find.files({ query: { query: "READ" } })).data
said.file = (await client.file.read({ query: { path: "README.md" } })).data.content

const session = (await client.session.create({ body: { title: "first title" } })).data
const prompt = { parts: [{ type: "text", text: "make a file" }] }
const answer = (await client.session.prompt({ path: { id: session.id }, body: prompt })).data
said.answer = answer.parts.filter((part) => part.type === "text").map((part) => part.text)
const messages = (await client.session.messages({ path: { id: session.id } })).data
said.roles = messages.map((message) => message.info.role)
said.tools = messages.flatMap((message) => message.parts.filter((part) => part.type === "tool")).map((part) => part.state.status)
said.title = (await client.session.update({ path: { id: session.id }, body: { title: "another" } })).data.title
said.deleted = (await client.session.delete({ path: { id: session.id } })).data
await listening
try {
  await client.session.get({ path: { id: session.id } })
} catch (error) {
  said.after = error.cause.status
}
console.log(JSON.stringify(said))
process.exit(0)
