
const form = document.querySelector("form[method=post]");
const [files, bar, said] = ["input", "progress", "output"].map(name => form.querySelector(name));

const at = file => new URL(encodeURIComponent(file.name), location.origin + location.pathname);

// Whether something of this name is there: a large file need not be sent to learn that.
const isThere = file => fetch(at(file), { method: "HEAD" }).then(answer => answer.ok, () => false);

// Stores a file; what the server answers, or 0 if it is not reached.
const put = (file, replace, sent) => new Promise(done => {
  const ask = new XMLHttpRequest();
  ask.open("PUT", at(file));
  if (!replace) ask.setRequestHeader("If-None-Match", "*");
  ask.upload.onprogress = event => sent(event.loaded);
  ask.onloadend = () => done(ask.status);
  ask.send(file);
});

const store = async list => {
  const wrong = [];
  const all = list.reduce((sum, file) => sum + file.size, 0) || 1;
  let before = 0;
  bar.hidden = false;
  for (const file of list) {
    said.textContent = file.name;
    const sent = bytes => { bar.value = Math.min(1, (before + bytes) / all); };
    const replace = await isThere(file);
    if (replace && !confirm(`${file.name} is here already. Replace it?`)) continue;
    const status = await put(file, replace, sent);
    if (status < 200 || status > 299) {
      wrong.push(`${file.name} is not stored: ${status || "the server is not reached"}`);
    }
    before += file.size;
  }
  bar.hidden = true;
  said.textContent = wrong.join("; ");
  if (!wrong.length) location.reload();
};

form.onsubmit = event => { event.preventDefault(); store([...files.files]); };
document.ondragover = event => event.preventDefault();
document.ondrop = event => { event.preventDefault(); store([...event.dataTransfer.files]); };
