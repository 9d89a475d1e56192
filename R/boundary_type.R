#' Types of linear boundaries between the three clusters
#'
#' The type depends on the labels that the classifier gives to the three cluster
#' centres: `"separates all"` (all three correct, like sign(x1)), `"ignores bottom"` (B
#' misclassified, A and C correct), `"ignores top"` (A misclassified, B and C correct),
#' `"constant"` (the same label for all), and `"other"`.
#'
#' @param path A matrix with columns intercept, w1, w2 and a row per classifier, such as
#'   the `path` of a [fit_linear_at()]; or a [linear_classifier()].
#' @param m Height of the top cluster.
#' @return A factor with a value per row.
#' @examples
#' boundary_type(vertical_line())
#' boundary_type(two_cluster_line())
#' @family functions of the Three Clusters
#' @export
boundary_type <- function(path, m = 7) {
  m <- check_number(m, above = 0)
  if (inherits(path, "linear_classifier")) path <- matrix(c(path$b, path$w), 1)
  columns <- c("(Intercept)", "x1", "x2")
  if (is.matrix(path) && setequal(colnames(path), columns)) path <- path[, columns, drop = FALSE]
  if (!is.matrix(path) || !plain_numbers(path) || ncol(path) != 3 || !nrow(path) || !all(is.finite(path))) {
    refuse(path, "path", "a matrix of finite numbers with 3 columns: intercept, w1, w2")
  }
  correct <- path %*% rbind(1, t(cluster_centres(m))) > 0
  correct[, 3] <- !correct[, 3]
  code <- correct %*% c(4, 2, 1)
  # Codes in binary: A correct, B correct, C correct.
  name <- c("other", "constant", "other", "ignores top", "other", "ignores bottom",
            "constant", "separates all")
  factor(name[code + 1], levels = boundary_types())
}

boundary_types <- function() {
  c("separates all", "ignores bottom", "ignores top", "constant", "other")
}

# Degrees between the boundary's normal and the x1 axis, in (-180, 180].
boundary_angle <- function(path) atan2(path[, 3], path[, 2]) * 180 / pi

#' Whether the boundary settles or alternates in training
#'
#' Describes the last `window` iterations of a path. The boundary *settles* if its type
#' does not change and its angle stays within 5 degrees. It *alternates* if the type changes at
#' least `window / 10` times. Otherwise it does neither. The cluster centres are those of the law
#' that the data were simulated from, or those of m = 7 for other data.
#'
#' @param fit A [fit_linear_at()].
#' @param window Number of last iterations.
#' @return A data frame with one row: the `type` at the end, the number of `changes` of type in the
#'   window, `settles`, `alternates`, the two types with most changes between them (`between`,
#'   `NA` without changes), and `turn`, the range of the boundary's angle in the window
#'   in degrees.
#' @examples
#' fit <- fit_linear_at(three_clusters(500, seed = 1), "r-at", setting = "large-step")
#' boundary_motion(fit)
#' @family functions of the Three Clusters
#' @export
boundary_motion <- function(fit, window = 100) {
  check_class(fit, "linear_at", "fit_linear_at")
  window <- check_count(window)
  path <- fit$path[seq(max(1, nrow(fit$path) - window), nrow(fit$path)), , drop = FALSE]
  type <- boundary_type(path, height_of(fit))
  from <- type[-length(type)]
  to <- type[-1]
  changed <- from != to
  pair <- ifelse(as.integer(from) < as.integer(to), paste(from, to, sep = " / "),
                 paste(to, from, sep = " / "))[changed]
  turn <- angle_range(boundary_angle(path))
  data.frame(type = as.character(type[length(type)]), changes = sum(changed),
             settles = !any(changed) && turn <= 5,
             alternates = sum(changed) >= length(changed) / 10,
             between = if (length(pair)) names(sort(-table(pair)))[1] else NA_character_,
             turn = turn)
}

height_of <- function(fit) if (is.null(fit$law)) 7 else fit$law$m

# The smallest arc with all angles: 360 degrees minus the widest gap between them.
angle_range <- function(degrees) {
  sorted <- sort(unique(degrees %% 360))
  if (length(sorted) == 1) return(0)
  360 - max(diff(c(sorted, sorted[1] + 360)))
}
