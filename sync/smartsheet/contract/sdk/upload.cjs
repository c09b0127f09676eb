'use strict'
// Uploads a picture for every user with the official SDK, so many at a time, and prints
// how many uploads Smartsheet confirmed.
const path = require('node:path')
const { createRequire } = require('node:module')

const [sdk, baseUrl, accessToken, photos, atATime] = process.argv.slice(2)
const { createClient } = createRequire(path.join(sdk, 'package.json'))('smartsheet')

async function main() {
  const client = createClient({ accessToken, baseUrl })
  const users = (await client.users.listAllUsers({ queryParameters: { includeAll: true } })).data
  let confirmed = 0
  const worker = async () => {
    for (let user = users.pop(); user; user = users.pop()) {
      const fileName = user.email + '.jpg'
      const answer = await client.users.addProfileImage({
        userId: user.id, fileName, path: path.join(photos, fileName), contentType: 'image/jpeg',
      })
      if (answer.message === 'SUCCESS') confirmed++
    }
  }
  await Promise.all(Array.from({ length: Number(atATime) }, worker))
  console.log(confirmed)
}

main().catch((e) => {
  console.error(e)
  process.exit(1)
})
