// Package report shows the content of an evidence bundle to people: criteria,
// the controls that serve them, what their probes saw, and where the evidence
// lies.
//
//	err := report.HTML(w, content) // one file, no scripts, prints well
//	err = report.Text(w, content)  // for a terminal or a mail
//	err = report.CSV(w, content)   // criteria × controls, for a spreadsheet
//
// The three say the same. They are made of an [evidence.Content] and nothing
// else, so that an auditor can make them again from the bundle. Texts that
// come from outside are escaped in HTML, neutralised in CSV, and stripped of
// what a terminal would act on.
//
// The page is static: it loads nothing, runs nothing, works without colours,
// with a screen reader and on paper (WCAG 2.2 AA is the aim).
package report
