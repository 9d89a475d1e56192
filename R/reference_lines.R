#' Linear classifiers of section 5.1
#'
#' `vertical_line()` is sign(x1), the paper's f_std. `two_cluster_line()` is the Bayes
#' rule of clusters A and C alone, which ignores the bottom cluster: its boundary is
#' x2 = -2 x1 / m + m / 2 - sigma^2 log(p) / m. `best_line()` minimises the closed-form
#' risk over all linear classifiers numerically. At `eps = 0` the minimiser is the vertical line
#' only if p = 1/2.
#'
#' @inheritParams three_clusters
#' @return A [linear_classifier()]. That of `best_line()` has the attribute `risk`.
#' @source Kim and Wang, section 5.1 and figure 4.
#' @examples
#' two_cluster_line(p = 0.95)
#' best_line(p = 0.55, eps = 1.6)
#' @family functions of the Three Clusters
#' @export
vertical_line <- function() linear_classifier(c(1, 0), 0)

#' @rdname vertical_line
#' @export
two_cluster_line <- function(p = 0.55, m = 7, sigma = 0.2) {
  check_law(p, m, sigma)
  linear_classifier(c(2, m), sigma^2 * log(p) - m^2 / 2)
}

#' @rdname vertical_line
#' @inheritParams linear_risk
#' @export
best_line <- function(p = 0.55, m = 7, sigma = 0.2, eps = 0, norm = 2) {
  law <- check_law(p, m, sigma)
  eps <- check_number(eps, min = 0)
  norm <- check_norm(norm)
  line <- function(v) linear_classifier(c(cos(v[1]), sin(v[1])), v[2])
  risk <- function(v) linear_risk_value(line(v), law, eps, norm)
  # The risk is flat far from the data, so the search starts from the lines that
  # separate a pair of clusters, and from both constants.
  steep <- atan2(m, 2)
  starts <- list(c(0, 0), c(steep, -m^2 / 2 / sqrt(4 + m^2)), c(-steep, -m^2 / 2 / sqrt(4 + m^2)),
                 c(0, 1e3), c(0, -1e3))
  control <- list(reltol = 1e-14, maxit = 2000)
  found <- lapply(starts, function(s) stats::optim(s, risk, control = control))
  best <- found[[which.min(vapply(found, `[[`, 0, "value"))]]
  structure(line(best$par), risk = best$value)
}
