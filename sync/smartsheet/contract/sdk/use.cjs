'use strict'
// Uses the official SDK against a simulator, and prints what came of it.
const fs = require('node:fs')
const path = require('node:path')
const { createRequire } = require('node:module')

const [sdk, baseUrl, secrets, picture] = process.argv.slice(2)
const { createClient } = createRequire(path.join(sdk, 'package.json'))('smartsheet')
const secret = (name) => fs.readFileSync(path.join(secrets, name), 'utf8').trim()

async function main() {
  const refresh = (token) => createClient({ baseUrl }).tokens.refreshAccessToken({
    queryParameters: { client_id: 'photosync', client_secret: secret('client-secret'), refresh_token: token },
  })
  const first = await refresh(secret('refresh-token'))
  const refused = await refresh(secret('refresh-token')).then(() => '', (e) => String(e.statusCode))
  const second = await refresh(first.refresh_token)
  const client = createClient({ accessToken: second.access_token, baseUrl })

  const users = await client.users.listAllUsers({ queryParameters: { includeAll: true } })
  const page = await client.users.listAllUsers({ queryParameters: { page: 2, pageSize: 2 } })
  const [third] = (await client.users.listAllUsers({ queryParameters: { email: 'user0003@example.com' } })).data
  const uploaded = await client.users.addProfileImage({
    userId: third.id, fileName: path.basename(picture), path: picture, contentType: 'image/png',
  })
  const shown = await client.users.getUser({ userId: third.id })
  console.log(JSON.stringify({
    emails: users.data.map((u) => u.email), page: page.data.map((u) => u.email), uploaded, image: shown.profileImage.imageId,
    me: await client.users.getCurrentUser({}), assumed: await client.users.getCurrentUser({ assumeUser: 'user0002@example.com' }),
    refreshed: second.access_token, refused,
  }))
}

main().catch((e) => {
  console.error(e)
  process.exit(1)
})
