// Package smartsheet is the client for the few calls of the Smartsheet API 2.0
// that photosync needs: who the token belongs to, finding users, and setting a
// profile image. Every attempt of every call takes its share of one quota, and
// one pause after a 429 answer holds for all callers.
//
// Reference: https://developers.smartsheet.com/api/smartsheet/openapi
package smartsheet
