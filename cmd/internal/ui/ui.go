// Package ui turns events and answers into text for people or JSON for
// programs.
//
// What an event looks like is a pure function of the event and a few facts
// (event.go); [Printer] adds the memory that a watch needs, such as which
// version still runs after a failure. The same words serve a terminal and a log
// file: color is added where a terminal asks for it, and nothing is said by
// color alone.
//
// Text goes to stderr and JSON to stdout, so that stdout carries data only.
//
// Hosts, compilers and file systems supply most of what is shown. All of it is
// untrusted: it passes through [Clean] before it reaches a terminal.
package ui
