// A browser starts no web worker for a page that is opened from a folder (file:). The search needs
// one: here its script runs in a hidden frame instead, with the same messages.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      frame.reply = data => this.dispatchEvent(new MessageEvent("message", { data }))
      frame.srcdoc =
        "<script>self.postMessage = data => frameElement.reply(data)</script>" +
        `<script src="${new URL(url, document.baseURI).href}"></script>`
      this.scope = new Promise(resolve => {
        frame.onload = () => resolve(frame.contentWindow)
      })
      document.documentElement.append(frame)
    }
    async postMessage(data) {
      (await this.scope).dispatchEvent(new MessageEvent("message", { data }))
    }
  }
}
