#' Simulate the Three Clusters data
#'
#' Two classes of equal probability in the plane. Class +1 has two normal clusters,
#' A at (1, m) with weight `p` and B at (1, -m) with weight `1 - p`; class -1 has
#' one, C at (-1, 0). All have covariance `sigma`^2 times the identity. No linear
#' classifier both separates the three clusters and is far from all of them.
#'
#' @param n Number of points, at least 1.
#' @param p Weight of the top cluster in class +1, in (0, 1). In the paper it is at least 0.5.
#' @param m Height of the top cluster, positive, in the units of the data.
#' @param sigma Standard deviation of each cluster, positive.
#' @param seed A whole number for a reproducible sample, which does not change the session's
#'   random stream. `NULL` draws from that stream.
#' @return A data frame of class `three_clusters` with `n` rows: coordinates `x1` and
#'   `x2`, label `y` (-1 or 1) and `cluster` (A, B or C). The attribute `law` has the parameters.
#' @source Kim and Wang, section 5.1.
#' @seealso [bayes_rule()], [fit_linear_at()]
#' @examples
#' three_clusters(6, seed = 1)
#' @family functions of the Three Clusters
#' @export
three_clusters <- function(n = 5000, p = 0.55, m = 7, sigma = 0.2, seed = NULL) {
  n <- check_count(n)
  law <- check_law(p, m, sigma)
  seed <- check_count(seed, min = 0, allow_null = TRUE)
  data <- with_seed(seed, draw_clusters(n, law))
  structure(data, class = c("three_clusters", "data.frame"), law = law, seed = seed)
}

draw_clusters <- function(n, law) {
  positive <- stats::runif(n) < 0.5
  top <- stats::runif(n) < law$p
  cluster <- ifelse(!positive, "C", ifelse(top, "A", "B"))
  centre <- cluster_centres(law$m)[cluster, , drop = FALSE]
  data.frame(x1 = centre[, 1] + law$sigma * stats::rnorm(n),
             x2 = centre[, 2] + law$sigma * stats::rnorm(n),
             y = ifelse(positive, 1L, -1L),
             cluster = factor(cluster, levels = c("A", "B", "C")),
             row.names = NULL)
}

cluster_centres <- function(m) {
  rbind(A = c(x1 = 1, x2 = m), B = c(1, -m), C = c(-1, 0))
}

#' @export
print.three_clusters <- function(x, n = 6, ...) {
  law <- attr(x, "law")
  cat("Three Clusters:", nrow(x), "points")
  if (!is.null(law)) cat(sprintf(", p = %g, m = %g, sigma = %g", law$p, law$m, law$sigma))
  cat("\n")
  print(utils::head(as.data.frame(x), n), ...)
  if (nrow(x) > n) cat("...", nrow(x) - n, "more\n")
  invisible(x)
}

#' @export
as.data.frame.three_clusters <- function(x, ...) {
  class(x) <- "data.frame"
  attr(x, "law") <- NULL
  attr(x, "seed") <- NULL
  x
}
