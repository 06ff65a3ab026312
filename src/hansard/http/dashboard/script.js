// Brings the figures up to date while somebody looks at them, and leaves what is unfolded and scrolled as it is.
"use strict";

const asOf = document.getElementById("as-of");

function unfolded() {
  return [...document.querySelectorAll("#figures details")].map((each) => each.open);
}

async function refresh() {
  if (document.hidden || String(getSelection())) return;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const text = (await answer.text()).replace(/<style.*?<\/style>/s, ""); // its nonce is not this page's
    const page = new DOMParser().parseFromString(text, "text/html");
    const open = unfolded();
    document.getElementById("figures").replaceChildren(...page.getElementById("figures").childNodes);
    document.querySelectorAll("#figures details").forEach((each, index) => { each.open = Boolean(open[index]); });
    asOf.firstElementChild.replaceWith(page.getElementById("as-of").firstElementChild);
    offerZone();
    document.body.classList.remove("stale");
  } catch {
    document.body.classList.add("stale");
  }
}

function offerZone() {
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const place = new URL(location.href);
  if (!here || place.searchParams.has("time_zone") || here === "UTC") return;
  place.searchParams.set("time_zone", here);
  const link = document.createElement("a");
  link.href = place.href;
  link.textContent = `Show them in ${here}`;
  document.getElementById("zone").replaceChildren(link);
}

offerZone();
setInterval(refresh, Number(asOf.dataset.refreshSeconds) * 1000);
document.addEventListener("visibilitychange", refresh);
