'use strict'
// Asks every second who there is, and changes only what changed: no flicker.
const list = document.getElementById('people')
const summary = document.getElementById('summary')
const find = document.getElementById('find')
let items = new Map()
let first = true

function item(user) {
  const li = document.createElement('li')
  const picture = document.createElement(user.image ? 'img' : 'span')
  if (user.image) {
    picture.loading = 'lazy'
    picture.alt = ''
    picture.src = 'images/' + encodeURIComponent(user.image)
  } else {
    picture.className = 'none'
  }
  const name = document.createElement('b')
  name.textContent = user.name
  li.append(picture, name, document.createElement('br'), user.email)
  li.dataset.text = (user.name + ' ' + user.email).toLowerCase()
  li.classList.toggle('new', !first && user.image !== '')
  return li
}

function show(users) {
  const now = new Map()
  for (const user of users) {
    const text = JSON.stringify(user)
    const old = items.get(user.id)
    const li = old?.text === text ? old.li : item(user)
    if (!old) list.append(li)
    else if (li !== old.li) old.li.replaceWith(li)
    now.set(user.id, { text, li })
  }
  for (const [id, old] of items) if (!now.has(id)) old.li.remove()
  items = now
}

function filter() {
  const text = find.value.toLowerCase()
  for (const { li } of items.values()) li.hidden = !li.dataset.text.includes(text)
}

async function refresh() {
  try {
    const answer = await (await fetch('users.json')).json()
    show(answer.users)
    first = false
    const more = answer.total > items.size ? `, the first ${items.size} of them below` : ''
    summary.textContent = `${answer.total} users${more}, ${answer.pictures} with a picture`
    if (find.value) filter()
  } catch {
    summary.textContent = 'The simulator does not answer.'
  }
  setTimeout(refresh, 1000)
}

find.addEventListener('input', filter)
refresh()
