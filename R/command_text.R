# The call of the user as text, for the provenance of a result, with the name of the function instead of
# that of a method. Data that another function, such as do.call(), put into the call as values are left
# out: they may be large, or private.
command_text <- function(call, name, longest = 2000) {
  call[[1]] <- as.symbol(name)
  text <- paste(deparse(without_values(call), width.cutoff = 500L), collapse = " ")
  if (nchar(text, "bytes") <= longest) {
    return(text)
  }
  paste(substr(text, 1, longest), "...")
}

without_values <- function(part) {
  if (is.call(part)) {
    # An argument may be missing, as in x[, 1].
    return(as.call(lapply(as.list(part), function(one) if (identical(one, quote(expr = ))) one else without_values(one))))
  }
  short <- is.null(part) || is.symbol(part) || (is.atomic(part) && is.null(dim(part)) && !is.object(part) && length(part) <= 10)
  if (short) part else quote(...)
}
