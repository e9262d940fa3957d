// Package authz compares package authz with casbin, and runs its stores on
// real databases.
package authz
