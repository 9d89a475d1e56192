# Tables of numeric features in the form that Python takes.

# The training and test rows as a matrix of features, labels counted from 0, and the scaling by
# `eps` and `bounds`. `train` and `test` have x, a data frame of numbers, and y, the classes; `args` are the
# user's arguments that both come from, or of which x and y do.
as_feature_data <- function(train, test, eps, bounds, args = NULL, call = parent.frame()) {
  arg <- function(name, which) if (is.null(args)) name else args[which]
  check_distinct(names(train$x), arg("x", 1), call)
  features <- feature_matrix(train$x, arg("x", 1), call)
  y <- as_classes(train$y, nrow(train$x), arg("y", 1), call, "rows")
  check_several(y, arg("y", 1), call, "rows")
  data <- list(
    features = features, y = as.integer(y) - 1L,
    classes = as.list(levels(y)), names = as.list(names(train$x)),
    eps = each_eps(eps, names(train$x), call), bounds = each_bounds(bounds, names(train$x), call)
  )
  if (!is.null(test)) {
    data$x_test <- feature_matrix(test$x, arg("x_test", 2), call)
    data$y_test <- as.integer(known_classes(test$y, levels(y), nrow(test$x), arg("y_test", 2), call, "rows")) - 1L
  }
  drop_null(data)
}

# The rows of a formula: features that are columns of the data, the response, the positions of the rows in
# the data, and the formula without a dot.
model_rows <- function(formula, data, na.action, arg, call = parent.frame()) {
  if (!is.data.frame(data)) {
    refuse(
      data, arg, "a data frame",
      cli::format_inline("A formula takes its variables from {.arg {arg}}; {.arg x} may also be a data frame with the classes as {.arg y}."),
      call
    )
  }
  used <- all.vars(formula)
  check_distinct(if ("." %in% used) names(data) else names(data)[names(data) %in% used], arg, call)
  terms <- stats::terms(formula, data = data)
  labels <- gsub("^`|`$", "", attr(terms, "term.labels"))
  if (attr(terms, "response") == 0 || !length(labels)) {
    abort("{.arg formula} must have the classes on the left and features on the right, such as {.code y ~ .}.", call = call)
  }
  other <- setdiff(labels, names(data))
  if (length(other) || length(attr(terms, "offset"))) {
    abort(
      c(
        "The features on the right of {.arg formula} must be columns of {.arg {arg}}{if (length(other)) ', which has no column '}{.val {other}}.",
        i = "An attack changes each feature by itself: compute transformations as columns, and leave out interactions and offsets."
      ),
      call = call
    )
  }
  rownames(data) <- NULL # they are positions then
  frame <- tryCatch(
    stats::model.frame(stats::formula(terms), data = data, na.action = na.action, drop.unused.levels = FALSE),
    error = function(e) {
      abort(c("{.arg formula} cannot be computed from {.arg {arg}}.", x = "R says: {conditionMessage(e)}."), call = call)
    }
  )
  list(
    x = as.data.frame(frame[labels], optional = TRUE), y = stats::model.response(frame),
    rows = remaining_rows(frame, nrow(data), call), formula = stats::formula(terms)
  )
}

# The rows of a data frame of features with their classes, without those that na.action leaves out.
complete_rows <- function(x, y, na.action, arg, call = parent.frame()) {
  y <- only_column(y)
  if (length(y) != nrow(x)) as_classes(y, nrow(x), arg, call, "rows")
  rownames(x) <- NULL
  frame <- match.fun(na.action)(cbind(x, y))
  features <- frame[seq_along(x)]
  names(features) <- names(x)
  list(x = features, y = frame[[length(x) + 1]], rows = remaining_rows(frame, nrow(x), call))
}

# The positions, in the data, of the rows that na.action has kept.
remaining_rows <- function(frame, n, call = parent.frame()) {
  rows <- suppressWarnings(as.integer(rownames(frame)))
  if (anyNA(rows) || !all(rows %in% seq_len(n))) {
    abort("{.arg na.action} must return rows of the data with their row names, as {.fn na.omit} does.", call = call)
  }
  dropped <- n - length(rows)
  if (dropped) {
    cli::cli_inform(
      "{dropped} of {n} row{?s} with missing values {cli::qty(dropped)}{?was/were} left out.",
      class = "sense_na_action"
    )
  }
  rows
}

# Numbers, n x d. A factor is refused: an attack would turn a level into a fraction of another.
feature_matrix <- function(x, arg, call = parent.frame()) {
  other <- names(x)[!vapply(x, function(column) plain_numbers(column) && is.null(dim(column)), TRUE)]
  if (length(other)) {
    abort(
      c(
        "Features must be numeric, and {.field {other}} {?is/are} not.",
        x = "{.field {other[1]}} is {describe(x[[other[1]]])}.",
        i = "An attack adds small numbers to each feature, which has no meaning for categories: leave them out, such as {.code . - {other[1]}}, or give numbers in their place."
      ),
      call = call
    )
  }
  rows <- as.matrix(x)
  storage.mode(rows) <- "double"
  if (!nrow(rows)) abort("{.arg {arg}} must have at least one row.", call = call)
  bad <- which(!is.finite(rows), arr.ind = TRUE)
  if (nrow(bad)) {
    abort(
      "{.field {colnames(rows)[bad[1, 2]]}} is {.val {rows[bad[1, 1], bad[1, 2]]}} in row {bad[1, 1]} of {.arg {arg}}: remove these rows, or impute the value.",
      call = call
    )
  }
  unname(rows)
}

# The columns of these names, in this order.
as_frame <- function(x, names, arg, call = parent.frame()) {
  if (!is.data.frame(x) && !(is.matrix(x) && is.numeric(x))) {
    refuse(x, arg, cli::format_inline("a data frame or a matrix with the columns {.val {names}}"), call = call)
  }
  unnamed <- is.matrix(x) && is.null(colnames(x))
  if (unnamed && ncol(x) == length(names)) colnames(x) <- names
  absent <- setdiff(names, colnames(x))
  if (length(absent)) {
    abort("{.arg {arg}} has no column {.val {absent}}: it must have the features of the training, {.val {names}}.", call = call)
  }
  check_distinct(colnames(x)[colnames(x) %in% names], arg, call)
  as.data.frame(x)[names]
}

# Images, or rows of features, in the form of the data of a fit.
as_inputs <- function(x, fit, arg, call = parent.frame()) {
  if (has_features(fit)) {
    return(feature_matrix(as_frame(x, unlist(fit$data$features$names), arg, call), arg, call))
  }
  as_image_array(if (is.data.frame(x)) pixel_matrix(x, arg, call) else x, arg, call)
}

has_features <- function(fit) !is.null(fit$data$features)

kind_of_inputs <- function(fit) if (has_features(fit)) "rows" else "images"

# One eps, in standard deviations, is an option; several are part of the scaling.
one_eps <- function(eps) if (length(eps) == 1 && is.null(names(eps))) eps

each_eps <- function(eps, features, call = parent.frame()) {
  if (is.null(eps) || !is.null(one_eps(eps))) {
    return(NULL)
  }
  as.list(in_order_of_features(eps, features, "eps", call))
}

# One number as it is; one per feature in the order of the features.
in_order_of_features <- function(eps, features, arg, call = parent.frame()) {
  if (is.null(eps) || !is.null(one_eps(eps))) {
    return(eps)
  }
  check_numbers(by_name(eps, features, arg, "features", call), above = 0, arg = arg, call = call)
}

# "range", one pair for all features, or a list of pairs by feature; the others have none.
each_bounds <- function(bounds, features, call = parent.frame()) {
  if (is.null(bounds) || identical(bounds, "range")) {
    return(bounds)
  }
  pair <- function(b) plain_numbers(b) && length(b) == 2 && !anyNA(b) && b[1] < b[2]
  if (pair(bounds)) {
    return(rep(list(as.list(as.numeric(bounds))), length(features)))
  }
  named <- is.list(bounds) && length(bounds) && !is.null(names(bounds)) && all(names(bounds) %in% features)
  if (!named || !all(vapply(bounds, pair, TRUE))) {
    refuse(
      bounds, "bounds", "\"range\", a pair of numbers (low, high), or a list of pairs named by feature",
      call = call
    )
  }
  lapply(unname(features), function(f) as.list(as.numeric(bounds[[f]] %||% c(-Inf, Inf))))
}

# A number for each feature or class, by its name or in their order.
by_name <- function(values, known, arg, what, call = parent.frame()) {
  named <- !is.null(names(values))
  if (length(values) != length(known) || (named && !setequal(names(values), known))) {
    refuse(
      values, arg,
      cli::format_inline("one number, or {length(known)} named by the {what} {.val {known}}"),
      call = call
    )
  }
  unname(if (named) values[known] else values)
}

# A feature is chosen by its name.
check_distinct <- function(names, arg, call = parent.frame()) {
  again <- unique(names[duplicated(names)])
  if (length(again)) {
    abort("The columns of {.arg {arg}} must have different names: {.val {again}} {?is/are} there more than once.", call = call)
  }
}

# A data frame with a column for each pixel.
pixel_matrix <- function(x, arg, call = parent.frame()) {
  if (is.data.frame(x) && all(vapply(x, plain_numbers, TRUE))) x <- unname(as.matrix(x))
  if (!is.matrix(x)) refuse(x, arg, "a data frame with a numeric column for each pixel", call = call)
  x
}
