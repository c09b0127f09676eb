package simulator

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
)

// messages are the API's own words for its errorCodes.
var messages = map[int]string{
	1001: "An Access Token is required.",
	1002: "Your Access Token is invalid.",
	1003: "Your Access Token has expired.",
	1004: "You are not authorized to perform this action.",
	1005: "Single Sign-On is required for this account.",
	1006: "Not Found",
	1008: "Unable to parse request.",
	1011: "The value of a header is invalid.",
	1013: "The operation you are attempting to perform is not supported by your plan.",
	1018: "The value of a parameter is not valid.",
	1020: "User not found.",
	1030: "You cannot assume this user.",
	1074: "Unsupported file type.",
	1075: "The size of the upload does not match Content-Length.",
	1091: "The value of the Content-Type header is invalid.",
	1124: "Invalid Content-Type header. Media type not supported.",
	1128: "The file is too large.",
	1188: "The user's account is not active.",
	1272: "The value of the header smartsheet-integration-source is not valid.",
	4000: "An unexpected error has occurred. Please retry your request. If you encounter this error repeatedly, please contact api@smartsheet.com for assistance and reference this refId.",
	4001: "Smartsheet.com is currently offline for system maintenance. Please check back again shortly.",
	4002: "Server timeout exceeded. Request has failed.",
	4003: "Rate limit exceeded.",
	4004: "An unexpected error has occurred. Please retry your request.",
	4005: "This version of the API is no longer supported.",
}

// localized are texts such as the API has for users with errorCodes from 5000 on,
// in the language of the user (API reference: they are meant to be shown).
var localized = []string{
	"Ihr Konto ist gesperrt. Wenden Sie sich an Ihren Systemadministrator („Zurück“ führt zur Anmeldung).",
	"お使いのアカウントは現在ご利用いただけません。管理者にお問い合わせください。",
	"Votre compte a été désactivé ; contactez l’administrateur système.",
	"Su cuenta está bloqueada: póngase en contacto con el administrador.",
}

// wording is what the API says with a code.
func wording(code int) string {
	if code/1000 == 5 {
		return localized[code%len(localized)]
	}
	return cmp.Or(messages[code], "An error has occurred.")
}

// failure is an error as the API writes one, with its own words where there are no
// others. The lock is held.
func (s *Server) failure(code int, message string) map[string]any {
	s.counts.RefIDs++
	body := map[string]any{"refId": fmt.Sprintf("sim%06d", s.counts.RefIDs), "message": cmp.Or(message, wording(code))}
	if code != 0 {
		body["errorCode"] = code
	}
	return body
}

// refuse answers with an error, in the API's own words.
func (s *Server) refuse(w http.ResponseWriter, status, code int) {
	answer(w, status, s.failure(code, ""))
}

func (s *Server) refusing(status, code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { s.refuse(w, status, code) }
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}
