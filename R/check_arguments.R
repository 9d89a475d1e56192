# Argument checks of the pure-R half. Each says what was expected, what came and
# what to do, and blames the function that the user called.

assert_number <- function(x, name, lower = -Inf, upper = Inf, open_lower = FALSE,
                          open_upper = FALSE, call = parent.frame()) {
  inside <- is.numeric(x) && length(x) == 1 && !is.na(x) &&
    (if (open_lower) x > lower else x >= lower) &&
    (if (open_upper) x < upper else x <= upper)
  if (!inside) {
    range <- paste0(if (open_lower) "(" else "[", lower, ", ", upper,
                    if (open_upper) ")" else "]")
    cli::cli_abort(c("{.arg {name}} must be one number in {range}.",
                     "x" = "You gave {describe(x)}."), call = call)
  }
  x
}

assert_count <- function(x, name, lower = 1, call = parent.frame()) {
  whole <- is.numeric(x) && length(x) == 1 && is.finite(x) && x == round(x) && x >= lower
  if (!whole) {
    cli::cli_abort(c("{.arg {name}} must be one whole number, {lower} or more.",
                     "x" = "You gave {describe(x)}."), call = call)
  }
  as.integer(x)
}

assert_choice <- function(x, name, choices, call = parent.frame()) {
  if (identical(x, choices)) return(choices[1])
  if (!is.character(x) || length(x) != 1 || !x %in% choices) {
    cli::cli_abort(c("{.arg {name}} must be one of {.val {choices}}.",
                     "x" = "You gave {describe(x)}."), call = call)
  }
  x
}

assert_norm <- function(norm, call = parent.frame()) {
  if (!is.numeric(norm) || length(norm) != 1 || !norm %in% c(2, Inf)) {
    cli::cli_abort(c("{.arg norm} must be 2 or Inf.",
                     "x" = "You gave {describe(norm)}.",
                     "i" = "2 is the Euclidean norm, Inf the largest coordinate."), call = call)
  }
  norm
}

assert_law <- function(p, m, sigma, call = parent.frame()) {
  assert_number(p, "p", 0, 1, TRUE, TRUE, call = call)
  assert_number(m, "m", 0, Inf, TRUE, TRUE, call = call)
  assert_number(sigma, "sigma", 0, Inf, TRUE, TRUE, call = call)
  list(p = p, m = m, sigma = sigma)
}

# Points in the plane, as an n x 2 matrix, from a matrix or from columns x1 and x2.
as_points <- function(x, name = "x", call = parent.frame()) {
  if (is.data.frame(x) && all(c("x1", "x2") %in% names(x))) {
    x <- cbind(x1 = x$x1, x2 = x$x2)
  } else if (is.numeric(x) && is.null(dim(x)) && length(x) == 2) {
    x <- matrix(x, 1)
  }
  if (!is.matrix(x) || !is.numeric(x) || ncol(x) != 2) {
    cli::cli_abort(c("{.arg {name}} must hold points in the plane.",
                     "x" = "You gave {describe(x)}.",
                     "i" = "Give an n x 2 matrix, or a data frame with columns x1 and x2."),
                   call = call)
  }
  if (!all(is.finite(x))) {
    bad <- which(!is.finite(rowSums(x)))[1]
    cli::cli_abort(c("{.arg {name}} must hold finite coordinates.",
                     "x" = "Row {bad} has {.val {x[bad, ]}}.",
                     "i" = "Remove or repair that row."), call = call)
  }
  unname(x)
}

as_labels <- function(y, n, name = "y", call = parent.frame()) {
  if (length(y) != n || !all(y %in% c(-1, 1))) {
    cli::cli_abort(c("{.arg {name}} must hold {n} label{?s}, each -1 or +1.",
                     "x" = "You gave {describe(y)}.",
                     "i" = "Recode 0/1 labels with {.code 2 * y - 1}."), call = call)
  }
  as.numeric(y)
}

describe <- function(x) {
  if (is.null(x)) return("NULL")
  if (is.data.frame(x)) {
    return(paste0("a data frame with columns ", paste(names(x), collapse = ", ")))
  }
  if (is.matrix(x)) {
    return(paste0("a ", nrow(x), " x ", ncol(x), " ", typeof(x), " matrix"))
  }
  if (is.function(x)) return("a function")
  if (!is.atomic(x)) return(paste0("an object of class ", class(x)[1]))
  shown <- utils::head(x, 3)
  shown <- if (is.character(x)) dQuote(shown, FALSE) else format(shown, trim = TRUE)
  more <- if (length(x) > 3) paste0(", ... (", length(x), " values)") else ""
  paste0(class(x)[1], " ", paste(shown, collapse = ", "), more)
}

# Runs `code` from a seed, with fixed generators, and leaves the session's own
# random stream as it was. Without a seed the session's stream is used.
with_seed <- function(seed, code) {
  if (is.null(seed)) return(code)
  global <- globalenv()
  old <- if (exists(".Random.seed", global, inherits = FALSE)) get(".Random.seed", global)
  on.exit(if (is.null(old)) rm(".Random.seed", envir = global)
          else assign(".Random.seed", old, envir = global))
  set.seed(seed, kind = "Mersenne-Twister", normal.kind = "Inversion",
           sample.kind = "Rejection")
  code
}
