'use strict'
// Asks every second who changed, and changes nothing else: no flicker.
const list = document.getElementById('people')
const summary = document.getElementById('summary')
const find = document.getElementById('find')
const items = new Map()
let after = 0, removals = 0, first = true

function show(user) {
  let li = items.get(user.id)
  if (!li) {
    li = document.createElement('li')
    li.append(document.createElement('span'), document.createElement('b'), document.createElement('br'), user.email)
    li.querySelector('b').textContent = user.name
    li.dataset.text = (user.name + ' ' + user.email).toLowerCase()
    items.set(user.id, li)
    list.append(li)
  }
  const picture = document.createElement(user.image ? 'img' : 'span')
  if (user.image) {
    picture.loading = 'lazy'
    picture.alt = ''
    picture.src = 'images/' + encodeURIComponent(user.image)
  } else {
    picture.className = 'none'
  }
  li.firstChild.replaceWith(picture)
  li.classList.toggle('new', !first && user.image !== '')
}

function filter() {
  const text = find.value.toLowerCase()
  for (const li of items.values()) li.hidden = !li.dataset.text.includes(text)
}

async function refresh() {
  try {
    const answer = await (await fetch(`changes?after=${after}&removals=${removals}`)).json()
    if (answer.all) {
      list.replaceChildren()
      items.clear()
    }
    answer.users.forEach(show)
    ;({ changes: after, removals } = answer)
    first = false
    const more = answer.total > items.size ? `, the first ${items.size} of them below` : ''
    summary.textContent = `${answer.total} users${more}, ${answer.pictures} with a picture`
    if (answer.users.length > 0 && find.value) filter()
  } catch {
    summary.textContent = 'The simulator does not answer.'
    after = 0 // another one may take its place
  }
  setTimeout(refresh, 1000)
}

find.addEventListener('input', filter)
refresh()
